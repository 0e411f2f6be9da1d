-- versions: 13-
select pg_catalog.current_database()::text as datname, e.extname::text as extname, n.nspname::text as schemaname,
       e.extversion as version, a.default_version
  from pg_catalog.pg_extension as e
  join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
  left join pg_catalog.pg_available_extensions() as a on a.name = e.extname
