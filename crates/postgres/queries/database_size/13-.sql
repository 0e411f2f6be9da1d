-- versions: 13-
select d.oid::int8 as datid, d.datname::text as datname, s.size_bytes,
       case when not d.readable then 'privilege' end as missing_reason,
       case when not d.readable then
           pg_catalog.format('the size of database %I; run: GRANT pg_read_all_stats TO %I', d.datname, current_user)
       end as missing
  from (select c.oid, c.datname,
               pg_catalog.has_database_privilege(c.oid, 'connect') or pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as readable
          from pg_catalog.pg_database as c
        offset 0) as d
  left join lateral (select pg_catalog.pg_database_size(d.oid) as size_bytes where d.readable offset 0) as s on true
 where s.size_bytes is not null or not d.readable
