-- versions: 13-15
select c.datid::int8 as datid, c.datname::text as datname, c.confl_tablespace, c.confl_lock, c.confl_snapshot, c.confl_bufferpin,
       c.confl_deadlock
  from pg_catalog.pg_stat_database_conflicts as c
