//! The same connection for programs that use libpq: as environment variables, so that no secret is among their arguments.

use super::host::Place;
use super::parameters::PARAMETERS;
use super::target::{Secret, Target};

/// Settings that are told by the hosts, or do not concern a program that is started for one database.
const TOLD_OTHERWISE: &[&str] = &["host", "hostaddr", "port", "user", "dbname", "service", "servicefile", "passfile", "application_name"];

impl Target {
    /// The variables by which a program connects as this target says. All others of libpq must be taken away: [`libpq_names`].
    pub fn libpq_variables(&self, application_name: &str) -> Vec<(&'static str, String)> {
        let named = |parameter: &str| PARAMETERS.iter().find(|known| known.name == parameter).map(|known| known.variable);
        let mut variables: Vec<(&'static str, String)> = self
            .given
            .iter()
            .filter(|(name, value)| !TOLD_OTHERWISE.contains(name) && !value.is_empty())
            .filter_map(|(name, value)| Some((named(name).filter(|variable| !variable.is_empty())?, value.clone())))
            .collect();
        let ports: Vec<String> = self.hosts.iter().map(|host| host.port.to_string()).collect();
        let names: Vec<String> = self.hosts.iter().map(super::host::Host::name).collect();
        variables.extend([("PGHOST", names.join(",")), ("PGPORT", ports.join(","))]);
        if self.hosts.iter().any(|host| matches!(host.place, Place::Address(..))) {
            let address = |place: &Place| if let Place::Address(address, _) = place { address.to_string() } else { String::new() };
            variables.push(("PGHOSTADDR", self.hosts.iter().map(|host| address(&host.place)).collect::<Vec<_>>().join(",")));
        }
        variables.extend([
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGAPPNAME", application_name.to_owned()),
        ]);
        variables.extend(self.password.as_ref().map(|Secret(password)| ("PGPASSWORD", password.clone())));
        variables.extend(self.passfile.as_ref().map(|path| ("PGPASSFILE", path.display().to_string())));
        variables
    }
}

/// Every variable that libpq reads.
pub fn libpq_names() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|parameter| parameter.variable).filter(|variable| !variable.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    #[test]
    fn the_same_connection_is_told() {
        let environment = Environment::with_variables(&[("PGSSLMODE", "verify-full"), ("PGPORT", "5433")]);
        let dsn = "host=db1 hostaddr=10.0.0.1 user=keeper password=secret dbname=shop keepalives=0 sslrootcert=/etc/ca.pem";
        let target = Target::resolve(Some(dsn), &environment).unwrap();
        let mut variables = target.with_database("a=b").libpq_variables("pgtend backup");
        variables.sort_unstable();
        let told: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wanted = "PGAPPNAME=pgtend backup|PGDATABASE=a=b|PGHOST=db1|PGHOSTADDR=10.0.0.1|PGPASSWORD=secret|PGPORT=5433|PGSSLMODE=verify-full|\
                      PGSSLROOTCERT=/etc/ca.pem|PGUSER=keeper";
        assert_eq!(told.join("|"), wanted);
        assert!(!format!("{target:?}").contains("secret"));
    }
}
