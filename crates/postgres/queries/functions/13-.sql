-- versions: 13-
select pg_catalog.current_database()::text as datname, f.schemaname::text as schemaname, f.funcname::text as funcname,
       f.funcid::int8 as funcid, f.calls, f.total_time, f.self_time
  from pg_catalog.pg_stat_user_functions as f
