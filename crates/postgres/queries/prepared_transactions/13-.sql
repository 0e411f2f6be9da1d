-- versions: 13-
select p.gid, p.database::text as database, p.owner::text as owner, p.prepared, pg_catalog.age(p.transaction)::int8 as xid_age
  from pg_catalog.pg_prepared_xacts as p
