"""The provider's process: `terraform-provider-koreai`, which Terraform starts.

As HashiCorp's go-plugin has it (its docs/internals.md): a first line on stdout says where the server listens, and with
which certificate; `Shutdown` ends it. tf's own `run_provider` does that too, but it takes `StopProvider` for the end of
the server, which drops the calls under way with all that they know; it serves at most ten calls at once, so that under
ten waits `StopProvider` itself waits; it ends at a Ctrl-C, which reaches Terraform's whole process group; and it
outlives a Terraform that is killed.
"""

import base64
import os
import signal
import sys
import tempfile
import threading
from typing import Any, Final

_WATCH_SECONDS: Final = 0.5  # between two looks at the parent process
_DRAIN_SECONDS: Final = 1.0  # for the answer to `Shutdown`
_COOKIE: Final = "TF_PLUGIN_MAGIC_COOKIE"  # Terraform sets it for what it starts


def main() -> None:
    """Serve until Terraform has no more use for it."""
    parent = os.getppid()
    if _COOKIE not in os.environ:
        sys.exit("This is a provider: terraform starts it. How to tell terraform where it is: docs/terraform.md")
    # A signal to the process group is for Terraform, which then calls `StopProvider`.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        import tf  # type: ignore[import-untyped] # noqa: F401, PLC0415 - an extra: to say what to install
    except ModuleNotFoundError:
        sys.exit("The Terraform provider needs tf: pip install '<a clone of pulumi-koreai>[terraform]'")
    _serve(parent)


def _serve(parent: int) -> None:
    import grpc  # noqa: PLC0415 - see main
    from tf.gen import grpc_controller_pb2 as controller  # type: ignore[import-untyped] # noqa: PLC0415
    from tf.gen import grpc_controller_pb2_grpc as controller_rpc  # noqa: PLC0415
    from tf.gen import tfplugin_pb2_grpc as rpc  # noqa: PLC0415
    from tf.runner import _self_signed_cert  # type: ignore[import-untyped] # noqa: PLC0415

    from ..host.threads import Threads  # noqa: PLC0415
    from .provider import Provider  # noqa: PLC0415
    from .servicer import Servicer  # noqa: PLC0415

    provider = Provider()
    ended = threading.Event()

    class Controller(controller_rpc.GRPCControllerServicer):  # type: ignore[misc]
        def Shutdown(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - a name of the protocol
            ended.set()
            return controller.Empty()

    server = grpc.server(Threads())  # type: ignore[arg-type] # it only submits
    rpc.add_ProviderServicer_to_server(Servicer(provider), server)
    controller_rpc.add_GRPCControllerServicer_to_server(Controller(), server)
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/provider"
        os.environ["HOME"] = folder  # where tf keeps the certificate with its key: a user's own may be read-only
        certificate, credentials = _self_signed_cert()
        server.add_secure_port(f"unix://{socket}", credentials)
        server.start()
        encoded = base64.b64encode(certificate).decode().rstrip("=")
        print("1", "6", "unix", socket, "grpc", encoded, sep="|", flush=True)  # noqa: T201 - the hand-shake
        while not ended.wait(_WATCH_SECONDS) and os.getppid() == parent:
            pass
        provider.process.stop()
        server.stop(_DRAIN_SECONDS).wait()
    os._exit(0)  # the interpreter's own end takes a quarter of a second, three times for each command


if __name__ == "__main__":
    main()
