-- versions: 13-
select s.name, s.blks_zeroed, s.blks_hit, s.blks_read, s.blks_written, s.blks_exists, s.flushes, s.truncates, s.stats_reset
  from pg_catalog.pg_stat_slru as s
