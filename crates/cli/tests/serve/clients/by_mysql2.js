// mysql2 of Node against `innoclone serve`: by_mysql2.js SOCKET PORT DIRECTORY.
'use strict';

const assert = require('node:assert/strict');
const mysql = require('mysql2/promise');

const [socketPath, port, directory] = process.argv.slice(2);
// The certificate of the daemon is one it made itself.
const bySocket = { socketPath };
const byTcp = { host: '127.0.0.1', port: Number(port) };
const byTls = { ...byTcp, ssl: { rejectUnauthorized: false } };
const ways = [bySocket, byTcp, byTls];

const connect = (way, password = 'secret 1', user = 'operator') => mysql.createConnection({ user, password, ...way });
// Text protocol by `query`, prepared statements by `execute`.
const query = async (connection, ...words) => (await connection.query(...words))[0];
const execute = async (connection, ...words) => (await connection.execute(...words))[0];

async function refused(errno, action) {
  const error = await action.then(() => assert.fail(`error ${errno} was expected`), (error) => error);
  assert.equal(error.errno, errno, error.stack);
  return error.sqlMessage;
}

async function main() {
  // Logging in, first as a user of the configuration. Over plain TCP the password comes encrypted with the daemon's key.
  for (const way of [byTcp, bySocket, byTls]) {
    const connection = await connect(way);
    assert.deepEqual(await query(connection, 'SELECT 1 AS one'), [{ one: 1 }]);
    assert.equal(Boolean(connection.connection.stream.encrypted), way === byTls, way);
    await connection.ping();
    await connection.end();
    await refused(1045, connect(way, 'wrong'));
  }
  // An account of the instance sends its password each time.
  for (const way of [byTcp, bySocket, byTls, byTcp]) {
    await (await connect(way, 'secret 2', 'local')).end();
    await refused(1045, connect(way, 'wrong', 'local'));
    await refused(1045, connect(way, 'wrong', 'nobody'));
  }
  const many = await Promise.all(Array.from({ length: 30 }, (_, at) => connect(ways[at % 3])));
  const asked = 'SELECT ? + COUNT(*) AS n FROM mysql.clone_history';
  const answers = await Promise.all(many.map((connection, at) => execute(connection, asked, [at])));
  answers.forEach((rows, at) => assert.equal(Number(rows[0].n), at));
  await Promise.all(many.map((connection) => connection.end()));

  // Variables.
  const connection = await connect(byTls);
  await query(connection, 'SET GLOBAL clone_ddl_timeout = ?', [41]);
  const shown = await query(connection, "SHOW VARIABLES LIKE 'clone_ddl_timeout'");
  assert.deepEqual(shown, [{ Variable_name: 'clone_ddl_timeout', Value: '41' }]);
  assert.deepEqual(await query(connection, 'SELECT @@global.clone_ddl_timeout AS n'), [{ n: 41 }]);

  // A clone, and the same again, which must not be.
  const target = `${directory}/set`;
  await execute(connection, 'CLONE LOCAL DATA DIRECTORY = ?', [target]);
  const message = await refused(1007, query(connection, 'CLONE LOCAL DATA DIRECTORY = ?', [target]));
  assert.ok(message.includes(target), message);

  // Prepared and not, the same rows with the same types.
  const history =
    'SELECT ID, STATE, BEGIN_TIME, ERROR_NO, BINLOG_POSITION, ERROR_MESSAGE FROM mysql.clone_history ' +
    'WHERE DESTINATION = ? AND ID > ? ORDER BY ID';
  const rows = await query(connection, history, [target, 0]);
  assert.deepEqual(await execute(connection, history, [target, 0]), rows);
  assert.equal(rows[0].ID, 1);
  assert.equal(rows[0].STATE, 'Completed');
  assert.ok(rows[0].BEGIN_TIME instanceof Date, rows[0].BEGIN_TIME);
  assert.equal(rows[0].ERROR_NO, 0);
  assert.equal(typeof rows[0].BINLOG_POSITION, 'number');
  assert.equal(rows[0].ERROR_MESSAGE, '');
  const status = 'SELECT STATE, END_LSN FROM performance_schema.clone_status WHERE ID = ?';
  for (const [id, expected] of [[1, 1], [-1, 0], [1, 1]]) {
    const found = await execute(connection, status, [id]);
    assert.equal(found.length, expected);
    assert.ok(found.every((row) => row.STATE === 'Completed' && row.END_LSN > 0), found);
  }
  await execute(connection, 'SET GLOBAL clone_ddl_timeout = 42');
  assert.deepEqual(await execute(connection, 'SELECT @@global.clone_ddl_timeout AS n'), [{ n: 42 }]);

  // A clone that another connection kills.
  await query(connection, 'SET GLOBAL clone_max_data_bandwidth = 1');
  const other = await connect(bySocket);
  // The connection is closed after the error of its statement.
  other.on('error', () => {});
  let done = false;
  const slow = refused(1317, query(other, 'CLONE LOCAL DATA DIRECTORY = ?', [`${directory}/slow`]));
  slow.finally(() => { done = true; }).catch(() => {});
  const running = "SELECT PID FROM performance_schema.clone_status WHERE STATE = 'In Progress'";
  let pid;
  while (!done && pid !== other.threadId) {
    const [row] = await query(connection, running);
    pid = row?.PID;
  }
  await query(connection, 'KILL ?', [other.threadId]);
  await slow;
  const last = 'SELECT STATE, ERROR_NO FROM mysql.clone_history ORDER BY ID DESC LIMIT 1';
  assert.deepEqual(await query(connection, last), [{ STATE: 'Failed', ERROR_NO: 1317 }]);
  await connection.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
