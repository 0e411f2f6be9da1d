-- versions: 13-
-- extension: pg_stat_statements 1.10-1.10
-- nulls: zero
-- Most columns of most statements are zero, and sending nothing costs the server nothing.
select s.userid::int8 as userid, s.dbid::int8 as dbid, s.queryid, s.toplevel, nullif(s.plans, 0) as plans,
       nullif(s.total_plan_time, 0) as total_plan_time, s.calls, s.total_exec_time, s.min_exec_time, s.max_exec_time,
       nullif(s.stddev_exec_time, 0) as stddev_exec_time, s.rows, s.shared_blks_hit,
       nullif(s.shared_blks_read, 0) as shared_blks_read, nullif(s.shared_blks_dirtied, 0) as shared_blks_dirtied,
       nullif(s.shared_blks_written, 0) as shared_blks_written, nullif(s.local_blks_hit, 0) as local_blks_hit,
       nullif(s.local_blks_read, 0) as local_blks_read, nullif(s.local_blks_dirtied, 0) as local_blks_dirtied,
       nullif(s.local_blks_written, 0) as local_blks_written, nullif(s.temp_blks_read, 0) as temp_blks_read,
       nullif(s.temp_blks_written, 0) as temp_blks_written, nullif(s.blk_read_time, 0) as shared_blk_read_time,
       nullif(s.blk_write_time, 0) as shared_blk_write_time, nullif(s.temp_blk_read_time, 0) as temp_blk_read_time,
       nullif(s.temp_blk_write_time, 0) as temp_blk_write_time, nullif(s.wal_records, 0) as wal_records,
       nullif(s.wal_fpi, 0) as wal_fpi, nullif(s.wal_bytes::int8, 0) as wal_bytes, nullif(s.jit_functions, 0) as jit_functions,
       nullif(s.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time + s.jit_emission_time, 0) as jit_time
  from {schema}.pg_stat_statements(false) as s
 where s.queryid is not null
