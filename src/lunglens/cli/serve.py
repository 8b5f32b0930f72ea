"""The command line's verbs for serving: web page and API, DICOM node."""

from pathlib import Path
from typing import Annotated

import typer

from lunglens.cli.options import Classifier, Device, Lungs

app = typer.Typer()


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - an option each
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File (chmod 600) with the token that clients must show.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Films analysed at a time; else as many as cores, 4 at most.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder in which films and results outlive the server, for a day.")
    ] = None,
    keep_minutes: Annotated[
        float | None, typer.Option(min=0.1, help="How long results are kept: 30, or with --keep 1440.")
    ] = None,
    most_queued: Annotated[int, typer.Option(min=1, help="Films that may wait.")] = 256,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Webhook that is told of each film that is answered, nothing of the patient; signed with the key in "
            "LUNGLENS_NOTIFY_SECRET, if there is one.",
        ),
    ] = None,
    lungs: Lungs = None,
    classifier: Classifier = None,
    device: Device = "cpu",
) -> None:
    """Web page and API on this machine (extra 'serve'): nothing is sent anywhere, uploads are deleted after a while."""
    import os

    from lunglens.film.batch.processes import cores
    from lunglens.serve.logs import only_our_log
    from lunglens.serve.run import run
    from lunglens.serve.settings import ServeSettings, read_token
    from lunglens.serve.webhook import Webhook

    token = None if token_file is None else read_token(token_file)
    keep_s = 60 * (keep_minutes or (30 if keep is None else 1440))
    secret = os.environ.pop("LUNGLENS_NOTIFY_SECRET", None)  # it is no business of the analysing processes
    webhook = None if notify is None else Webhook.parse(notify, secret)
    settings = ServeSettings(
        host,
        port,
        token,
        workers or min(4, cores()),
        keep,
        most_queued,
        keep_s=keep_s,
        webhook=webhook,
        lungs=lungs,
        classifier=classifier,
        device=device,
    )
    only_our_log()
    run(settings)


@app.command()
def node(  # noqa: PLR0913, PLR0917 - an option each
    send_to: Annotated[
        list[str],
        typer.Option(
            help="AE@HOST:PORT that gets the results; CALLING=AE@HOST:PORT: only those of films from that title. Again "
            "for each."
        ),
    ],
    spool: Annotated[Path, typer.Option(help="Folder that keeps what is not done; run again to go on.")],
    ae: Annotated[str, typer.Option(help="Our own application entity title.")] = "LUNGLENS",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 11112,
    allow: Annotated[list[str] | None, typer.Option(help="A calling title that may store; all if not given.")] = None,
    commitment: Annotated[
        list[str] | None,
        typer.Option(
            help="AE@HOST:PORT of a --send-to that is asked for storage commitment; results are kept until then."
        ),
    ] = None,
    answer_refused: Annotated[
        bool, typer.Option(help="Send a report that says so of films that are no chest films, or unreadable.")
    ] = True,
    tls_cert: Annotated[Path | None, typer.Option(help="Take films by TLS only: our certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM, without a password).")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Who sends films must show a certificate of these authorities (PEM).")
    ] = None,
    send_tls: Annotated[bool, typer.Option("--send-tls", help="Send results by TLS, too.")] = False,
    lungs: Lungs = None,
    classifier: Classifier = None,
    device: Device = "cpu",
) -> None:
    """Take CR and DX films by C-STORE, analyse them, send SEG, SR, outlines and pictures on (extra 'serve')."""
    import signal
    import threading

    from lunglens.errors import OutputError
    from lunglens.files import only_one
    from lunglens.film.drift import Drift
    from lunglens.serve.logs import only_our_log
    from lunglens.serve.node import Node
    from lunglens.serve.settings import NodeSettings, Peer, Tls
    from lunglens.serve.spool import Spool
    from lunglens.serve.worker_handle import AnalysingProcess

    only_our_log()
    if (tls_cert is None) != (tls_key is None) or (tls_cert is None and (tls_ca or send_tls)):
        raise typer.BadParameter("TLS needs both --tls-cert and --tls-key")
    tls = None if tls_cert is None or tls_key is None else Tls(tls_cert, tls_key, tls_ca, send_tls)
    peers, allowed = tuple(map(Peer.parse, send_to)), tuple(allow or ())
    settings = NodeSettings(
        ae,
        peers,
        host,
        port,
        tls,
        allowed,
        tuple(commitment or ()),
        answer_refused=answer_refused,
        lungs=lungs,
        classifier=classifier,
        device=device,
    )
    settings.check()
    model = settings.models().classifier
    process = AnalysingProcess(settings)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with only_one(spool / ".lock", spool, "node"):
        try:
            running = Node(settings, Spool(spool), process, Drift(model.record.reference))
            running.start()
            where = f"{ae} listens on {host}:{running.port}{', by TLS' if tls else ''}, {model.name}"
            typer.echo(f"{where}; results go to {', '.join(send_to)}", err=True)
            stopped.wait()
            running.stop()
        except OSError as error:
            reason = f"{error.strerror}; choose another --port or --spool"
            raise OutputError(f"{host}:{port} or {spool}: {reason}") from error
