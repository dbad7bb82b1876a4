from datetime import UTC, datetime, timedelta, timezone

from cryptography.hazmat import asn1

from teleport.pki.syntax import AttributeTypeAndValue, build_name, build_time, parse_name


def test_a_name_is_read_back_in_order() -> None:
    attributes = (("2.5.4.10", "b"), ("2.5.4.10", "a"), ("2.5.4.3", "\u00fc" * 300))
    assert parse_name(build_name(attributes)) == attributes


def test_a_printable_string_is_as_good_as_utf8() -> None:
    name = build_name((("2.5.4.3", "x"),))
    printable = AttributeTypeAndValue(type=name[0].as_list()[0].type, value=asn1.PrintableString("example.com"))
    assert parse_name([asn1.SetOf([printable])]) == (("2.5.4.3", "example.com"),)


def test_a_time_takes_the_form_of_its_year() -> None:
    assert isinstance(build_time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)), asn1.UTCTime)
    assert isinstance(build_time(datetime(2050, 1, 1, tzinfo=UTC)), asn1.GeneralizedTime)


def test_a_time_is_written_in_utc_and_whole_seconds() -> None:
    moment = datetime(2030, 1, 1, 1, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    assert build_time(moment).as_datetime() == datetime(2029, 12, 31, 23, tzinfo=UTC)
