-- versions: 13-
select r.oid::int8 as oid, r.rolname::text as rolname, r.rolcanlogin as can_login, r.rolsuper as is_superuser,
       r.rolreplication as can_replicate, r.rolbypassrls as bypasses_rls, r.rolcreatedb as can_create_databases,
       r.rolcreaterole as can_create_roles, r.rolconnlimit::int8 as connection_limit, r.rolvaliduntil as valid_until
  from pg_catalog.pg_roles as r
