-- versions: 13-
-- extension: pg_stat_statements 1.10-1.10
select s.userid::int8 as userid, s.dbid::int8 as dbid, s.queryid, s.toplevel, s.plans, s.total_plan_time, s.calls, s.total_exec_time,
       s.min_exec_time, s.max_exec_time, s.stddev_exec_time, s.rows, s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied,
       s.shared_blks_written, s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written, s.temp_blks_read,
       s.temp_blks_written, s.blk_read_time as shared_blk_read_time, s.blk_write_time as shared_blk_write_time,
       s.temp_blk_read_time, s.temp_blk_write_time,
       s.wal_records, s.wal_fpi, s.wal_bytes::int8 as wal_bytes, s.jit_functions,
       s.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time + s.jit_emission_time as jit_time
  from {schema}.pg_stat_statements(false) as s
 where s.queryid is not null
