"""The words of the sandbox's pages, Vietnamese first."""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("vi", "en")

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "sandbox": ("Ngân hàng thử", "Sandbox bank"),
    "pretend": ("Tiền ở đây là giả.", "The money here is pretend."),
    "app": ("Ứng dụng ngân hàng", "Bank app"),
    "control": ("Bảng điều khiển", "Control page"),
    "gates": ("Ví thu phí và thanh chắn", "Toll wallets and barriers"),
    "hub": ("Mở PhoPay", "Open PhoPay"),
    "payer": ("Trả từ tài khoản", "Pay from"),
    "balance": ("Số dư", "Balance"),
    "code": ("Mã VietQR", "VietQR code"),
    "scan": ("Quét bằng camera", "Scan with the camera"),
    "stop": ("Dừng camera", "Stop the camera"),
    "upload": ("Hoặc chọn ảnh có mã", "Or choose a picture of the code"),
    "paste": ("Hoặc dán nội dung mã", "Or paste the code's text"),
    "decode": ("Tiếp tục", "Continue"),
    "review": ("Kiểm tra và xác nhận", "Check and confirm"),
    "receiver": ("Người nhận", "Receiver"),
    "bank": ("Ngân hàng", "Bank"),
    "account": ("Số tài khoản", "Account"),
    "amount": ("Số tiền (₫)", "Amount (₫)"),
    "locked": ("Mã đã định sẵn số tiền", "The code fixes the amount"),
    "memo": ("Nội dung chuyển khoản", "Memo"),
    "confirm": ("Xác nhận chuyển", "Confirm the transfer"),
    "back": ("Quay lại", "Back"),
    "done": ("Chuyển tiền thành công", "Transfer done"),
    "slow": ("Đã gửi, bên nhận sẽ có tiền sau", "Sent, the receiver gets it later"),
    "ft": ("Mã giao dịch", "Transaction number"),
    "at": ("Thời gian", "Time"),
    "again": ("Chuyển khoản khác", "Another transfer"),
    "order": ("Đơn hàng", "Order"),
    "status": ("Trạng thái", "Status"),
    "paid": ("Đã trả", "Paid"),
    "pay_here": ("Trả bằng ứng dụng ngân hàng thử", "Pay with the sandbox's bank app"),
    "no_payload": ("Hãy quét, chọn ảnh hoặc dán mã.", "Scan, choose a picture or paste a code."),
    "no_amount": ("Hãy nhập số tiền bằng chữ số.", "Enter the amount in digits."),
    "camera_refused": ("Không mở được camera.", "The camera could not be opened."),
    "code_unreadable": ("Không đọc được mã VietQR này.", "This VietQR code cannot be read."),
    "account_unknown": (
        "Không tìm thấy tài khoản nhận ở ngân hàng thử.",
        "The sandbox has no such receiving account.",
    ),
    "not_enough_money": ("Số dư không đủ.", "The balance does not cover it."),
    "over_napas_limit": (
        "Số tiền phải từ 1 đến 499.999.999 ₫.",
        "The amount must be 1 to 499,999,999 ₫.",
    ),
    "refused": ("Không thực hiện được.", "It could not be done."),
}


def words(language: str) -> dict[str, str]:
    """Return every word in one language; an unknown one gets Vietnamese."""
    place = LANGUAGES.index(language) if language in LANGUAGES else 0
    return {name: texts[place] for name, texts in WORDS.items()}
