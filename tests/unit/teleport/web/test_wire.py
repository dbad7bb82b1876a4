from teleport.web.call import Reply
from teleport.web.wire import render_head


def test_the_head_names_no_server_and_forbids_caching_and_sniffing() -> None:
    head = render_head(Reply(200, b"{}"), keep_alive=True, now=0)
    assert head == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/json\r\n"
        b"Cache-Control: no-store\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Length: 2\r\n\r\n"
    )


def test_the_last_answer_says_that_it_is_the_last() -> None:
    assert b"\r\nConnection: close\r\n" in render_head(Reply(200, b""), keep_alive=False, now=0)


def test_a_replys_own_headers_are_written() -> None:
    head = render_head(Reply(429, b"", headers=(("Retry-After", "7"),)), keep_alive=True, now=0)
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nRetry-After: 7\r\n" in head
