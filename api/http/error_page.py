"""An error as a page: what happened and what to do next, in Vietnamese and English."""

from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from api.http.templating import templates
from core.errors import Kind

LOGIN_PATH: Final = "/login"

# For each kind: Vietnamese name and next step, English name and next step.
WORDS: Final[dict[Kind, tuple[str, str, str, str]]] = {
    Kind.INVALID: (
        "Yêu cầu chưa đúng",
        "Quay lại trang trước, kiểm tra thông tin đã nhập rồi thử lại.",
        "That was not understood",
        "Go back, check what you entered and try again.",
    ),
    Kind.UNAUTHENTICATED: (
        "Bạn cần đăng nhập",
        "Hãy đăng nhập rồi làm lại.",
        "Please sign in",
        "Sign in, then try again.",
    ),
    Kind.FORBIDDEN: (
        "Bạn không có quyền làm việc này",
        "Hỏi người quản lý của đơn vị nếu bạn cần quyền này.",
        "You may not do this",
        "Ask your organisation's manager if you need to.",
    ),
    Kind.NOT_FOUND: (
        "Không tìm thấy",
        "Kiểm tra lại đường dẫn hoặc quét lại mã.",
        "Nothing here",
        "Check the address or scan the code again.",
    ),
    Kind.CONFLICT: (
        "Việc này không còn làm được",
        "Tải lại trang để xem trạng thái mới nhất.",
        "This can no longer be done",
        "Reload the page to see how things stand now.",
    ),
    Kind.TOO_LARGE: (
        "Dữ liệu gửi lên quá lớn",
        "Gửi ít hơn rồi thử lại.",
        "That is too large",
        "Send less and try again.",
    ),
    Kind.TOO_MANY: (
        "Bạn thao tác quá nhanh",
        "Chờ một phút rồi thử lại.",
        "Too many requests",
        "Wait a minute and try again.",
    ),
    Kind.UNAVAILABLE: (
        "Hệ thống đang bận",
        "Chưa có gì bị mất. Chờ vài giây rồi tải lại trang.",
        "Busy right now",
        "Nothing was lost. Wait a few seconds and reload.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class ErrorPage:
    """Everything templates/error.html may use; the reader's language comes first there."""

    title_vi: str
    next_vi: str
    title_en: str
    next_en: str
    detail: str  # in English, as programs get it
    request_id: str
    code: str
    may_sign_out: bool  # offer to sign in as somebody else


def wants_html(request: Request) -> bool:
    """Whether a browser's page is waiting, not a program."""
    if request.url.path.startswith("/v1/"):
        return False
    return "text/html" in request.headers.get("accept", "")


def render_error_page(
    request: Request, kind: Kind, problem: dict[str, Any], headers: dict[str, str]
) -> Response:
    """Draw the page of one problem; who is not signed in is taken to the login page instead."""
    path = request.url.path
    if kind is Kind.UNAUTHENTICATED and request.method == "GET" and path != LOGIN_PATH:
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{LOGIN_PATH}?next={quote(wanted, safe='')}", 303)
    title_vi, next_vi, title_en, next_en = WORDS[kind]
    page = ErrorPage(
        title_vi=title_vi,
        next_vi=next_vi,
        title_en=title_en,
        next_en=next_en,
        detail=problem["detail"],
        request_id=problem["request_id"],
        code=problem["code"],
        may_sign_out=kind is Kind.FORBIDDEN and getattr(request.state, "caller", None) is not None,
    )
    return templates.TemplateResponse(
        request, "error.html", asdict(page), status_code=problem["status"], headers=headers
    )
