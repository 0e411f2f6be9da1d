-- versions: 18-
select i.state, i.operation, i.target, pg_catalog.count(*) as count, pg_catalog.sum(i.length)::int8 as bytes
  from pg_catalog.pg_aios as i
 group by 1, 2, 3
