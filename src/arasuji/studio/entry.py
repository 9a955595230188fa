"""How a browser shows the token of a server that needs one: once, for a cookie that it then sends by itself."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

router = APIRouter(prefix="/api")


class Shown(BaseModel):
    """The token, as the page found it after the # of its address, which no browser sends to a server."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    token: str = Field(max_length=300)


@router.post("/enter", status_code=204)
async def enter(shown: Shown, request: Request, response: Response) -> None:
    """Give the cookie for the right token. It is named by the port: cookies of one machine are shared by its ports."""
    token, port = request.app.state.token, request.app.state.port
    if token and not hmac.compare_digest(shown.token.encode(), token.encode()):
        raise HTTPException(401, "the token is another one: open the address that `arasuji serve` has printed")
    response.set_cookie(f"arasuji-{port}", token, httponly=True, samesite="strict")
