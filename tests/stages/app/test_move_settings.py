"""What `cityloom move` writes into city.toml."""

import pytest

from cityloom.app.move.settings import without_password


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@db.example/city?sslmode=require",
        "postgresql://ann:p%40hunter2@db.example/city?sslmode=require",
        "postgresql://ann@db.example/city?sslmode=require&password=hunter2",
        "postgresql://ann@db.example/city?sslmode=require&sslpassword=hunter2",
        "postgresql://ann@db.example/city?oauth_client_secret=hunter2&sslmode=require",
    ],
)
def test_no_secret_of_an_address_is_written(url):
    assert without_password(url) == "postgresql://ann@db.example/city?sslmode=require"
