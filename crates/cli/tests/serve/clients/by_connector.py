"""mysql-connector-python against `innoclone serve`: by_connector.py SOCKET PORT DIRECTORY.

Both of its implementations: the one in Python and the one around MySQL's C library.
"""

import datetime
import sys
import threading

# First: it brings an OpenSSL newer than that of some systems, which must not have been loaded before.
import _mysql_connector  # noqa: F401
import mysql.connector
from mysql.connector import errorcode

socket, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
BY_SOCKET = {"unix_socket": socket, "ssl_disabled": True}
BY_TCP = {"host": "127.0.0.1", "port": port, "ssl_disabled": True}
BY_TLS = {"host": "127.0.0.1", "port": port}


def connect(pure, way, password="secret 1", user="operator"):
    return mysql.connector.connect(user=user, password=password, use_pure=pure, autocommit=True, **way)


def rows(connection, statement, parameters=(), prepared=False):
    with connection.cursor(prepared=prepared) as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def refused(number, action):
    try:
        action()
    except mysql.connector.Error as error:
        assert error.errno == number, error
        return error.msg
    raise AssertionError(f"error {number} was expected")


def check(pure, directory):
    # Logging in, first as a user of the configuration. This client asks no server for an RSA key: over plain TCP it gets
    # in only as somebody whose password the daemon has seen.
    for way in (BY_SOCKET, BY_TCP, BY_TLS):
        with connect(pure, way) as connection:
            assert rows(connection, "SELECT 1") == [(1,)]
            assert connection.is_connected()
            encrypted = connection._ssl_active if pure else connection._cmysql.get_ssl_cipher()
            assert bool(encrypted) == (way is BY_TLS), (pure, way, encrypted)
        refused(errorcode.ER_ACCESS_DENIED_ERROR, lambda: connect(pure, way, "wrong"))
    # An account of the instance sends its password each time. Over plain TCP the implementation in Python would do so in
    # clear, which no server takes; the one in C refuses itself.
    for way in (BY_SOCKET, BY_TLS):
        connect(pure, way, "secret 2", "local").close()
        refused(errorcode.ER_ACCESS_DENIED_ERROR, lambda: connect(pure, way, "wrong", "local"))
    number = errorcode.ER_ACCESS_DENIED_ERROR if pure else errorcode.CR_AUTH_PLUGIN_ERR
    refused(number, lambda: connect(pure, BY_TCP, "secret 2", "local"))
    many = [connect(pure, (BY_SOCKET, BY_TCP, BY_TLS)[at % 3]) for at in range(30)]
    for at, connection in enumerate(many):
        found = rows(connection, "SELECT ? + COUNT(*) FROM mysql.clone_history WHERE ID < 0", (at,), prepared=True)
        assert found == [(at,)], found
    for connection in many:
        connection.close()

    # Variables.
    connection = connect(pure, BY_TLS)
    rows(connection, "SET GLOBAL clone_ddl_timeout = %s", (41,))
    assert rows(connection, "SHOW VARIABLES LIKE 'clone_ddl_timeout'") == [("clone_ddl_timeout", "41")]
    assert rows(connection, "SELECT @@global.clone_ddl_timeout") == [(41,)]

    # A clone, and the same again, which must not be.
    clone = "CLONE LOCAL DATA DIRECTORY = %s"
    target = f"{directory}/set"
    rows(connection, clone, (target,))
    message = refused(errorcode.ER_DB_CREATE_EXISTS, lambda: rows(connection, clone, (target,)))
    assert target in message, message

    # Prepared and not, the same rows with the same types.
    query = (
        "SELECT ID, STATE, BEGIN_TIME, ERROR_NO, BINLOG_POSITION, ERROR_MESSAGE FROM mysql.clone_history "
        "WHERE DESTINATION = %s AND ID > %s ORDER BY ID"
    )
    history = rows(connection, query, (target, 0))
    assert history == rows(connection, query, (target, 0), prepared=True), history
    identity, state, begin, number, position, text = history[0]
    assert isinstance(identity, int) and state == "Completed" and text == "", history
    assert isinstance(begin, datetime.datetime) and number == 0 and isinstance(position, int), history
    with connection.cursor(prepared=True) as cursor:
        # One statement, executed again and again.
        query = "SELECT STATE, END_LSN FROM performance_schema.clone_status WHERE ID = ? AND BEGIN_TIME <= ?"
        for asked, expected in ((identity, 1), (-1, 0), (identity, 1)):
            cursor.execute(query, (asked, datetime.datetime(2999, 12, 31, 1, 2, 3)))
            found = cursor.fetchall()
            assert len(found) == expected, found
            assert all(row[0] == "Completed" and row[1] > 0 for row in found), found
    rows(connection, "SET GLOBAL clone_ddl_timeout = ?", (42,), prepared=True)
    assert rows(connection, "SELECT @@global.clone_ddl_timeout", prepared=True) == [(42,)]

    # A clone that another connection kills.
    rows(connection, "SET GLOBAL clone_max_data_bandwidth = 1")
    other = connect(pure, BY_SOCKET)
    ended = []
    slow = threading.Thread(
        target=lambda: ended.append(
            refused(errorcode.ER_QUERY_INTERRUPTED, lambda: rows(other, clone, (f"{directory}/slow",)))
        ),
        daemon=True,
    )
    slow.start()
    running = "SELECT PID FROM performance_schema.clone_status WHERE STATE = 'In Progress'"
    while slow.is_alive() and rows(connection, running) != [(other.connection_id,)]:
        pass
    rows(connection, f"KILL {other.connection_id}")
    slow.join()
    assert len(ended) == 1, ended
    last = "SELECT STATE, ERROR_NO FROM mysql.clone_history ORDER BY ID DESC LIMIT 1"
    assert rows(connection, last) == [("Failed", errorcode.ER_QUERY_INTERRUPTED)]
    rows(connection, "SET GLOBAL clone_max_data_bandwidth = 0")
    connection.close()


check(True, f"{directory}/pure")
check(False, f"{directory}/c")
