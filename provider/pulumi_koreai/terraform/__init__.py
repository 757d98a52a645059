"""The same models, by the same rules, from `terraform apply`: the provider `koreai`, a front end as `provider.py` is.

    schema         the resource's schema, out of the pydantic models, and values between Terraform and them
    process        the configuration, the service, which models this process has in hand
    deployment     `koreai_model_deployment`: validate, plan, create, update, delete, read, import, upgrade
    servicer       Terraform's calls, where the framework's own answers leave something out
    terms          Terraform's commands and keys
    __main__       the process: hand-shake, interruption, the end

Built on the framework `tf`, the extra `pulumi-koreai[terraform]`. Nothing else of this package imports this one.
"""
