-- versions: 14-
-- extension: pg_stat_statements 1.9-
select i.dealloc, i.stats_reset
  from {schema}.pg_stat_statements_info() as i
