from teleport.backend.protocol import Item
from teleport.backend.recent_items import MAX_ITEM_BYTES, MAX_ITEMS, RecentItems


def item(key: str, size: int = 0) -> Item:
    return Item(key, bytes(size), 1)


def remember(recent: RecentItems, read: Item) -> None:
    recent.remember(read, recent.begin_read(read.key))


def test_what_was_read_is_remembered() -> None:
    recent = RecentItems()
    assert recent.get("a") is None
    remember(recent, item("a"))
    assert recent.get("a") == item("a")


def test_a_change_is_forgotten_before_it_is_visible() -> None:
    recent = RecentItems()
    remember(recent, item("a"))
    remember(recent, item("b"))
    recent.begin_changes(["a"])
    assert recent.get("a") is None
    assert recent.get("b") == item("b")


def test_a_read_during_a_change_is_not_remembered() -> None:
    recent = RecentItems()
    recent.begin_changes(["a"])
    begun = recent.begin_read("a")
    recent.remember(item("a"), begun)
    assert recent.get("a") is None
    recent.end_changes()
    recent.remember(item("a"), begun)
    assert recent.get("a") is None


def test_a_read_that_began_before_a_change_is_not_remembered_after_it() -> None:
    recent = RecentItems()
    begun = recent.begin_read("a")
    recent.begin_changes(["a"])
    recent.remember(item("a"), begun)
    recent.end_changes()
    recent.remember(item("a"), begun)
    assert recent.get("a") is None


def test_other_keys_are_remembered_during_a_change() -> None:
    recent = RecentItems()
    recent.begin_changes(["a"])
    remember(recent, item("b"))
    assert recent.get("b") == item("b")


def test_after_a_change_the_key_is_remembered_again() -> None:
    recent = RecentItems()
    recent.begin_changes(["a"])
    recent.end_changes()
    remember(recent, item("a"))
    assert recent.get("a") == item("a")


def test_a_value_of_the_greatest_size_is_remembered_and_a_larger_one_is_not() -> None:
    recent = RecentItems()
    remember(recent, item("a", MAX_ITEM_BYTES))
    remember(recent, item("b", MAX_ITEM_BYTES + 1))
    assert recent.get("a") is not None
    assert recent.get("b") is None


def test_one_item_too_many_makes_the_first_one_go() -> None:
    recent = RecentItems()
    for n in range(MAX_ITEMS + 1):
        remember(recent, item(str(n)))
    assert recent.get("0") is None
    assert recent.get("1") is not None
    assert recent.get(str(MAX_ITEMS)) is not None
