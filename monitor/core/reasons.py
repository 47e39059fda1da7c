"""Why a row is rejected: one closed set of words, because each becomes a metric label."""

from enum import StrEnum


class Reason(StrEnum):
    """The first thing found wrong with a row; the order below is the order of the checks."""

    UNREADABLE_FILE = "unreadable_file"
    CORRUPT_COMPRESSION = "corrupt_compression"
    LINE_TOO_LONG = "line_too_long"
    NUL_BYTES = "nul_bytes"
    INVALID_UTF8 = "invalid_utf8"
    BYTE_ORDER_MARK = "byte_order_mark"
    BAD_JSON = "bad_json"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    BAD_HEADER = "bad_header"
    UNBALANCED_QUOTES = "unbalanced_quotes"
    MISPLACED_QUOTES = "misplaced_quotes"
    WRONG_FIELD_COUNT = "wrong_field_count"
    UNREADABLE = "unreadable"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    MISSING_ID = "missing_id"
    NO_PREDICTION = "no_prediction"
    MISSING_LABEL = "missing_label"
    UNKNOWN_LABEL = "unknown_label"
