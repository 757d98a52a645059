# For the emulator on this machine; see docs/terraform.md.
host = "http://127.0.0.1:8731"

models = {
  chat = {
    model_id           = "cm-11111111-0000-5000-8000-000000000001"
    deployment_name    = "chat"
    device_type        = "g5.xlarge"
    hyper_parameters   = { temperature = 0.7, max_tokens = 512, top_p = 0.9, top_k = 40 }
    scaling_parameters = { min_replicas = 1, max_replicas = 3 }
  }

  summary = {
    model_id          = "cm-22222222-0000-5000-8000-000000000002"
    deployment_name   = "summary"
    device_type       = "g4dn.xlarge"
    hyper_parameters  = { temperature = 0.1, max_tokens = 256, top_p = 1, top_k = 10 }
    optimization_info = { optimization_type = "ctranslate2", quantization_type = "int8_float16" }
  }

  rerank = {
    model_id         = "cm-33333333-0000-5000-8000-000000000003"
    deployment_name  = "rerank"
    model_type       = "fineTune"
    device_type      = "g6e.xlarge"
    hyper_parameters = { temperature = 0, max_tokens = 16, top_p = 1, top_k = 1, stop_sequence = ["###"] }
    update_strategy  = "redeploy"
  }
}
