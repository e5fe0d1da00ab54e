"""PyMySQL against `innoclone serve`: by_pymysql.py SOCKET PORT DIRECTORY."""

import datetime
import ssl
import sys
import threading

import pymysql
from pymysql.constants import ER

socket, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# The certificate of the daemon is one it made itself.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
BY_SOCKET = {"unix_socket": socket, "ssl_disabled": True}
BY_TCP = {"host": "127.0.0.1", "port": port, "ssl_disabled": True}
BY_TLS = {"host": "127.0.0.1", "port": port, "ssl": context}


def connect(way, password="secret 1", user="operator"):
    return pymysql.connect(user=user, password=password, autocommit=True, **way)


def rows(connection, statement, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def refused(number, action):
    try:
        action()
    except pymysql.MySQLError as error:
        assert error.args[0] == number, error
        return error.args[1]
    raise AssertionError(f"error {number} was expected")


# Logging in, first as a user of the configuration. Over plain TCP the password comes encrypted with the daemon's key.
for way in (BY_TCP, BY_SOCKET, BY_TLS):
    with connect(way) as connection:
        assert rows(connection, "SELECT 1") == ((1,),)
        assert isinstance(connection._sock, ssl.SSLSocket) == (way is BY_TLS), way
        connection.ping(reconnect=False)
    refused(ER.ACCESS_DENIED_ERROR, lambda: connect(way, "wrong"))
# An account of the instance sends its password each time.
for way in (BY_TCP, BY_SOCKET, BY_TLS, BY_TCP):
    connect(way, "secret 2", "local").close()
    refused(ER.ACCESS_DENIED_ERROR, lambda: connect(way, "wrong", "local"))
    refused(ER.ACCESS_DENIED_ERROR, lambda: connect(way, "wrong", "nobody"))
many = [connect((BY_SOCKET, BY_TCP, BY_TLS)[at % 3]) for at in range(30)]
for at, connection in enumerate(many):
    assert rows(connection, "SELECT %s + COUNT(*) FROM mysql.clone_history", (at,)) == ((at,),)
for connection in many:
    connection.close()

# Variables.
connection = connect(BY_TLS)
rows(connection, "SET GLOBAL clone_ddl_timeout = %s", (41,))
assert rows(connection, "SHOW VARIABLES LIKE 'clone_ddl_timeout'") == (("clone_ddl_timeout", "41"),)
assert rows(connection, "SELECT @@global.clone_ddl_timeout") == ((41,),)

# A clone, and the same again, which must not be.
clone = "CLONE LOCAL DATA DIRECTORY = %s"
rows(connection, clone, (f"{directory}/set",))
message = refused(ER.DB_CREATE_EXISTS, lambda: rows(connection, clone, (f"{directory}/set",)))
assert f"{directory}/set" in message, message
history = rows(
    connection,
    "SELECT ID, STATE, BEGIN_TIME, ERROR_NO, BINLOG_POSITION FROM mysql.clone_history "
    "WHERE DESTINATION = %s ORDER BY ID",
    (f"{directory}/set",),
)
assert history[0][:2] == (1, "Completed"), history
assert isinstance(history[0][2], datetime.datetime), history
assert history[0][3] == 0 and isinstance(history[0][4], int), history
status = rows(connection, "SELECT STATE, END_LSN FROM performance_schema.clone_status WHERE ID = 1")
assert status[0][0] == "Completed" and status[0][1] > 0, status

# A clone that another connection kills.
rows(connection, "SET GLOBAL clone_max_data_bandwidth = 1")
other = connect(BY_SOCKET)
ended = []
slow = threading.Thread(
    target=lambda: ended.append(refused(ER.QUERY_INTERRUPTED, lambda: rows(other, clone, (f"{directory}/slow",)))),
    daemon=True,
)
slow.start()
running = "SELECT PID FROM performance_schema.clone_status WHERE STATE = 'In Progress'"
while slow.is_alive() and rows(connection, running) != ((other.thread_id(),),):
    pass
connection.kill(other.thread_id())
slow.join()
assert len(ended) == 1, ended
last = "SELECT STATE, ERROR_NO FROM mysql.clone_history ORDER BY ID DESC LIMIT 1"
assert rows(connection, last) == (("Failed", ER.QUERY_INTERRUPTED),)
connection.close()
