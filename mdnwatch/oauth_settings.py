"""The settings of a login by OAuth 2.0 (RFC 6749): one `[accounts.oauth]` table, and what is known of providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from yarl import URL

from mdnwatch.settings import Secret, Settings, is_loopback

GrantType = Literal["authorization_code", "device_code", "client_credentials"]


@dataclass(frozen=True, slots=True)
class Provider:
    """What the documentation of a provider says. In URLs, "{tenant}" stands for a directory of its customers.

    `secret_in_body`: it takes the client's secret among the parameters, and not as RFC 6749 §2.3.1 prefers.
    """

    authorization_url: str
    token_url: str
    device_url: str | None
    grants: tuple[GrantType, ...]  # those that lead to mail; the first is the default
    scopes: tuple[str, ...]
    # Beyond RFC 6749 §4.1.1; they see to it that there is a refresh token.
    parameters: Mapping[str, str] = field(default_factory=dict)
    redirect_host: str = "127.0.0.1"
    secret_in_body: bool = True
    needs_secret: bool = False


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        # https://developers.google.com/identity/protocols/oauth2/native-app; by device it gives no access to mail.
        "google": Provider(
            authorization_url="https://accounts.google.com/o/oauth2/v2/auth",
            token_url="https://oauth2.googleapis.com/token",  # noqa: S106 - a URL
            device_url=None,
            grants=("authorization_code",),
            scopes=("https://mail.google.com/",),
            parameters={"access_type": "offline", "prompt": "consent"},
            needs_secret=True,
        ),
        # https://learn.microsoft.com/entra/identity-platform: whichever port a "http://localhost" has, it is taken.
        "microsoft": Provider(
            authorization_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
            token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",  # noqa: S106 - a URL
            device_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
            grants=("device_code", "authorization_code", "client_credentials"),
            scopes=("https://outlook.office365.com/IMAP.AccessAsUser.All", "offline_access"),
            redirect_host="localhost",
        ),
    }
)
# An application of its own right asks for all that it was given.
MICROSOFT_APPLICATION_SCOPES = ("https://outlook.office365.com/.default",)
ANY_TENANT = "common"


def _url(text: str) -> str:
    try:
        url = URL(text)
    except ValueError:
        raise ValueError("cannot be read: write it like https://login.example.org/oauth2/token") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("must begin with https:// and a host")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ValueError("plain http would show the tokens to everyone on the way: use https")
    if url.user is not None or url.password is not None:
        raise ValueError("must hold no user and password: they are client_id and client_secret")
    return text


Url = Annotated[str, AfterValidator(_url)]


class OAuthSettings(Settings):
    """A client that is registered with a provider, and how it gets its tokens."""

    provider: Annotated[
        Literal["google", "microsoft"] | None,
        Field(description='"google" or "microsoft", whose URLs are known; any other is given by its URLs.'),
    ] = None
    authorization_url: Annotated[
        Url | None, Field(description="Where the browser goes (RFC 6749 §3.1); for authorization_code.")
    ] = None
    token_url: Annotated[
        Url, Field(description="Where tokens are given (RFC 6749 §3.2).", examples=["https://login.example.org/token"])
    ]
    device_url: Annotated[Url | None, Field(description="Where devices begin (RFC 8628 §3.1); for device_code.")] = None
    grant: Annotated[
        GrantType,
        Field(description="How tokens are got; by default the first of these three for which there is a URL."),
    ]
    client_id: Annotated[str, Field(min_length=1, description="What the provider calls the registered application.")]
    client_secret: Annotated[
        Secret | None, Field(description="Its secret, where it has one; written like a password.")
    ] = None
    tenant: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9.-]+$", description="Microsoft: the directory's id or domain; default: any."),
    ] = ANY_TENANT
    scopes: Annotated[
        tuple[str, ...], Field(description="What is asked for; default: what the provider wants for IMAP.")
    ] = ()
    tls_ca: Annotated[
        Path | None, Field(description="PEM file of the authorities to trust, in place of the system's.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_others(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stands in the file
        if not isinstance(data, dict):
            return data
        provider = PROVIDERS.get(str(data.get("provider")))
        return _of_provider(data, provider) if provider is not None else _of_urls(data)

    @model_validator(mode="after")
    def _consistent(self) -> OAuthSettings:
        provider = self.known
        if provider is not None and self.grant not in provider.grants:
            raise ValueError(f"grant: {self.provider} gives access to mail by {' or '.join(provider.grants)} only")
        if self.grant == "authorization_code" and self.authorization_url is None:
            raise ValueError("authorization_url: is missing: authorization_code sends the browser there")
        if self.grant == "device_code" and self.device_url is None:
            raise ValueError("device_url: is missing: device_code begins there")
        if self.client_secret is None and (self.grant == "client_credentials" or (provider and provider.needs_secret)):
            raise ValueError("client_secret: is missing: the provider gave one with the client_id")
        if self.provider == "microsoft" and self.grant == "client_credentials" and self.tenant == ANY_TENANT:
            raise ValueError("tenant: is missing: client_credentials are those of one directory: name its id or domain")
        return self

    @property
    def known(self) -> Provider | None:
        """What is known of the provider; None where only its URLs are."""
        return PROVIDERS.get(self.provider or "")


def _of_provider(data: dict[str, Any], provider: Provider) -> dict[str, Any]:
    grant = data.get("grant", provider.grants[0])
    is_application = data["provider"] == "microsoft" and grant == "client_credentials"
    tenant = str(data.get("tenant", ANY_TENANT))
    urls = {name: getattr(provider, name) for name in ("authorization_url", "token_url", "device_url")}
    return {
        **{name: url and url.replace("{tenant}", tenant) for name, url in urls.items()},
        "grant": grant,
        "scopes": MICROSOFT_APPLICATION_SCOPES if is_application else provider.scopes,
        **data,
    }


def _of_urls(data: dict[str, Any]) -> dict[str, Any]:
    for grant, url in (("authorization_code", "authorization_url"), ("device_code", "device_url")):
        if data.get(url):
            return {"grant": grant, **data}
    return {"grant": "client_credentials", **data}
