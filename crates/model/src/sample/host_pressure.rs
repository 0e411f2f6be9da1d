//! Pressure stall information of the server's host, from /proc/pressure.

use super::Text;
use super::row::rows;

rows! {
    /// One resource: `cpu`, `memory` or `io`.
    pub struct HostPressure {
        /// What was waited for.
        label resource: Text;
        /// Share of the last 10 s in which at least one process waited.
        gauge some_avg10_percent: f64, "percent";
        /// Share of the last 60 s in which at least one process waited.
        gauge some_avg60_percent: f64, "percent";
        /// Share of the last 10 s in which every process waited; none for `cpu` on kernels before 5.13.
        gauge full_avg10_percent: Option<f64>, "percent";
        /// Share of the last 60 s in which every process waited; none for `cpu` on kernels before 5.13.
        gauge full_avg60_percent: Option<f64>, "percent";
        /// Time in which at least one process waited.
        counter some_seconds: f64, "seconds";
        /// Time in which every process waited; none for `cpu` on kernels before 5.13.
        counter full_seconds: Option<f64>, "seconds";
    }
}
