//! Connection strings: the cases of libpq's manual, what is refused, and round trips of arbitrary values.

use super::*;
use proptest::prelude::*;

fn settings(pairs: &[(&'static str, &str)]) -> Settings {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn check(dsn: &str, expected: &[(&'static str, &str)]) {
    assert_eq!(parse(dsn).unwrap(), settings(expected), "{dsn}");
}

#[test]
fn uris_are_read_as_libpq_reads_them() {
    let p = "postgresql://";
    check(p, &[]);
    check("postgres://db", &[("host", "db")]);
    check(&format!("{p}db:5433"), &[("host", "db"), ("port", "5433")]);
    check(&format!("{p}app@db/shop"), &[("user", "app"), ("host", "db"), ("dbname", "shop")]);
    check(&format!("{p}app:s3%20t@db"), &[("user", "app"), ("password", "s3 t"), ("host", "db")]);
    check(&format!("{p}app:@"), &[("user", "app")]);
    check(&format!("{p}app:is?it@db"), &[("user", "app"), ("password", "is?it"), ("host", "db")]);
    check(&format!("{p}a:b:c@db"), &[("user", "a"), ("password", "b:c"), ("host", "db")]);
    check(&format!("{p}db/"), &[("host", "db")]);
    check(&format!("{p}/shop"), &[("dbname", "shop")]);
    check(&format!("{p}:5433"), &[("port", "5433")]);
    check(&format!("{p}[2001:db8::1]:5433/shop"), &[("host", "2001:db8::1"), ("port", "5433"), ("dbname", "shop")]);
    check(&format!("{p}[::1]"), &[("host", "::1")]);
    check(&format!("{p}a:1,b:2,c/d"), &[("host", "a,b,c"), ("port", "1,2,"), ("dbname", "d")]);
    check(&format!("{p}a,[::1]:2"), &[("host", "a,::1"), ("port", ",2")]);
    check(&format!("{p}%2Fvar%2Frun%2Fpostgresql/shop"), &[("host", "/var/run/postgresql"), ("dbname", "shop")]);
    check(&format!("{p}/shop?host=/tmp&port=6"), &[("dbname", "shop"), ("host", "/tmp"), ("port", "6")]);
    check(&format!("{p}db?user=app&sslmode=verify-full"), &[("host", "db"), ("user", "app"), ("sslmode", "verify-full")]);
    check(&format!("{p}db?ssl=true"), &[("host", "db"), ("sslmode", "require")]);
    check(&format!("{p}db?options=-c%20jit%3Doff"), &[("host", "db"), ("options", "-c jit=off")]);
    check(&format!("{p}db?application_name=a+b/c"), &[("host", "db"), ("application_name", "a+b/c")]);
}

#[test]
fn pairs_are_read_as_libpq_reads_them() {
    check("host=db port=5433", &[("host", "db"), ("port", "5433")]);
    check("  host =  db\n\tport\t=5433  ", &[("host", "db"), ("port", "5433")]);
    check(r"password='it\'s a \\ secret' user=app", &[("password", r"it's a \ secret"), ("user", "app")]);
    check(r"password=a\ b\'c user=app", &[("password", "a b'c"), ("user", "app")]);
    check("host='' user=", &[("host", ""), ("user", "")]);
    check("user=one user=two", &[("user", "two")]);
    check("password=a=b", &[("password", "a=b")]);
}

#[test]
fn a_plain_word_names_a_database() {
    check("shop", &[("dbname", "shop")]);
    check("", &[]);
    assert!(parse("db:5432").unwrap_err().hint.contains("postgresql://"));
}

#[test]
fn what_cannot_be_read_is_refused_without_its_values() {
    let cases = [
        "host=db geheim",
        "password='geheim",
        "postgresql://app:geheim%zz@db",
        "postgresql://app:geheim%00@db",
        "postgresql://[::1/geheim",
        "postgresql://[]/geheim",
        "postgresql://[::1]geheim",
        "postgresql://db?password",
        "postgresql://db?password=geheim=geheim",
        "postgresql://app:%ff@db",
    ];
    for dsn in cases {
        let error = parse(dsn).unwrap_err();
        assert_eq!(error.kind, Kind::Config, "{dsn}");
        assert!(!error.to_string().contains("geheim"), "{dsn}: {error}");
        assert!(error.what.starts_with("the connection string cannot be read: "), "{error}");
    }
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fall(text in "(postgres(ql)?://)?[ -~é%=@:/?&,\\[\\]'\\\\]{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn quoted_values_come_back(user in "[^\0]{1,20}", password in "[^\0]{0,20}") {
        let quote = |value: &str| format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"));
        let dsn = format!("user={} password = {}", quote(&user), quote(&password));
        prop_assert_eq!(parse(&dsn).unwrap(), settings(&[("user", &user), ("password", &password)]));
    }

    #[test]
    fn encoded_values_come_back(user in "[^\0]{1,20}", password in "[^\0]{1,20}", host in "[^\0]{1,20}", database in "[^\0]{1,20}") {
        let dsn = format!("postgresql://{}:{}@{}/{}?passfile={}", percent(&user), percent(&password), percent(&host), percent(&database), percent(&user));
        let expected = [("user", &*user), ("password", &password), ("host", &host), ("dbname", &database), ("passfile", &user)];
        prop_assert_eq!(parse(&dsn).unwrap(), settings(&expected));
    }
}
