"""A real mail server on loopback for the tests, and a reader of what it took. Refuses mail without TLS and login."""
import asyncio, email, email.policy, os, ssl, sys
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult


def serve(mode, folder, certificate, key, user, password):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=good, handled=good)

    def session():
        begin = {"tls_context": context, "require_starttls": True} if mode == "starttls" else {}
        return SMTP(Mailbox(folder), hostname="localhost", enable_SMTPUTF8=True, auth_required=True,
                    auth_require_tls=mode == "starttls", authenticator=authenticate, **begin)

    async def run():
        over = context if mode == "tls" else None
        server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=over)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


def read(folder):
    for name in os.listdir(os.path.join(folder, "new")):
        with open(os.path.join(folder, "new", name), "rb") as file:
            mail = email.message_from_binary_file(file, policy=email.policy.default)
        text, html = (mail.get_body([kind]).get_content() for kind in ("plain", "html"))
        headers = [str(mail[name]) for name in ("Message-ID", "From", "To", "Reply-To", "Date", "Subject",
                                               "Auto-Submitted", "X-RcptTo")]
        print("\t".join(headers + [mail.get_content_type(), text.splitlines()[0], str(html.count("<p>"))]))


{"starttls": serve, "tls": serve}.get(sys.argv[1], lambda mode, folder: read(folder))(*sys.argv[1:])
