-- The tables of the embedded store's file. Times and durations of events are in microseconds.

CREATE TABLE IF NOT EXISTS records (
  name TEXT PRIMARY KEY, issued INTEGER NOT NULL DEFAULT 0, fence INTEGER NOT NULL DEFAULT 0,
  payload BLOB, keep_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, ends REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tallies (name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL);
-- Names that belong together, each with its end in milliseconds.
CREATE TABLE IF NOT EXISTS grouped_names (
  group_name TEXT NOT NULL, name TEXT NOT NULL, ends INTEGER NOT NULL,
  PRIMARY KEY (group_name, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grouped_names_in_order ON grouped_names (group_name, ends, name);
CREATE INDEX IF NOT EXISTS grouped_names_by_end ON grouped_names (ends);
CREATE INDEX IF NOT EXISTS records_by_end ON records (keep_until);
CREATE INDEX IF NOT EXISTS tallies_by_end ON tallies (ends);

-- The newest place and number of each log outlive its events. Numbers have no gaps: the difference
-- of two tells how many events lie between them.
CREATE TABLE IF NOT EXISTS event_logs (app TEXT PRIMARY KEY, place TEXT NOT NULL, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  app TEXT NOT NULL, place TEXT NOT NULL, number INTEGER NOT NULL,
  corp_id TEXT NOT NULL, event_type TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (app, place));
CREATE TABLE IF NOT EXISTS event_keys (
  app TEXT NOT NULL, key TEXT NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (app, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_keys_by_end ON event_keys (ends);

-- A group has looked at all events up to (place, number). Those that it has not handled are its work:
-- "waiting", "held" or "dead"; "skip" was acknowledged before the group looked at it. It was handed out in
-- vain `losses` times, of which `tries` count. event_corps sums up the work of a corp: who holds some of it
-- ("" = nobody), and the first that waits. event_work has row ids, since SQLite would search a table without
-- them by part of its key rather than by a whole index.
CREATE TABLE IF NOT EXISTS event_groups (
  id INTEGER PRIMARY KEY, app TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, number INTEGER NOT NULL,
  used INTEGER NOT NULL, UNIQUE (app, name));
CREATE TABLE IF NOT EXISTS event_members (
  group_id INTEGER NOT NULL, name TEXT NOT NULL, alive_until INTEGER NOT NULL, loses INTEGER,
  ack_timeout INTEGER NOT NULL, max_tries INTEGER NOT NULL, room INTEGER NOT NULL,
  PRIMARY KEY (group_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event_work (
  group_id INTEGER NOT NULL, place TEXT NOT NULL, corp_id TEXT NOT NULL, state TEXT NOT NULL, holder TEXT,
  tries INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (group_id, place));
CREATE INDEX IF NOT EXISTS event_work_by_corp ON event_work (group_id, corp_id, state, place);
CREATE INDEX IF NOT EXISTS event_work_by_state ON event_work (group_id, state, place);
CREATE INDEX IF NOT EXISTS event_work_by_holder ON event_work (group_id, holder, place) WHERE holder NOTNULL;
CREATE TABLE IF NOT EXISTS event_corps (
  group_id INTEGER NOT NULL, corp_id TEXT NOT NULL, owner TEXT NOT NULL, first TEXT,
  PRIMARY KEY (group_id, corp_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_corps_by_owner ON event_corps (group_id, owner, first);
