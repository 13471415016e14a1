//! Families: each is declared once, with name, unit and help; its kind and labels follow from
//! what it is made as. The registry and the documentation are both made from the declarations.

use std::collections::HashMap;
use std::fmt;

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::closed::{Closed, Label};

/// What stands before every name.
pub(crate) const PREFIX: &str = "callferry";

/// Upper bounds of a histogram's buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Buckets {
    /// What they are for.
    pub(crate) what: &'static str,
    /// The bounds, in seconds.
    pub(crate) bounds: &'static [f64],
}

/// From a fast statement to a transfer that outlasts the hand-off.
pub(crate) const STAGE: Buckets = Buckets {
    what: "stages",
    bounds: &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
    ],
};

/// From event to event, with an outage in between.
pub(crate) const JOURNEY: Buckets = Buckets {
    what: "journeys",
    bounds: &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
        1_800.0, 14_400.0,
    ],
};

/// One question and its answer.
pub(crate) const ANSWER: Buckets = Buckets {
    what: "answers",
    bounds: &[
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        30.0, 60.0,
    ],
};

/// What a family is called and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    /// Its name, without the prefix.
    pub(crate) name: &'static str,
    /// What one of it is.
    pub(crate) unit: &'static str,
    /// What it counts.
    pub(crate) help: &'static str,
}

impl Family {
    /// A declaration.
    pub(crate) const fn new(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, unit, help }
    }
}

/// Whether a family only grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// It only grows, and begins at zero with the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts observations by size.
    Histogram(Buckets),
}

/// A family as the documentation shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    /// The part of the path that it belongs to.
    pub(crate) part: &'static str,
    /// Name, unit, help.
    pub(crate) family: Family,
    /// What it is made as.
    pub(crate) kind: Kind,
    /// Its labels.
    pub(crate) labels: Vec<Label>,
}

/// The series of a family, one for each value of a closed set: no label is looked up by its text
/// once the process runs.
pub(crate) struct Series<K, C>(Vec<(K, C)>);

impl<K: Closed, C> Series<K, C> {
    fn new(mut series: impl FnMut(&[&'static str]) -> C) -> Self {
        let every = K::every().into_iter();
        Self(every.map(|key| (key, series(&key.values()))).collect())
    }

    /// The series of `key`. There is one for every value that can occur.
    pub(crate) fn of(&self, key: K) -> Option<&C> {
        let found = self.0.iter().find(|(known, _)| *known == key);
        found.map(|(_, series)| series)
    }
}

impl<K: Closed> Series<K, IntCounter> {
    /// One more.
    pub(crate) fn one(&self, key: K) {
        self.more(key, 1);
    }

    /// Several more.
    pub(crate) fn more(&self, key: K, more: u64) {
        if let Some(counter) = self.of(key) {
            counter.inc_by(more);
        }
    }
}

impl<K: Closed> Series<K, Histogram> {
    /// One observation.
    pub(crate) fn observe(&self, key: K, took: std::time::Duration) {
        if let Some(histogram) = self.of(key) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

impl<K, C> fmt::Debug for Series<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} series", self.0.len())
    }
}

/// A family that is filled when somebody scrapes.
#[derive(Debug)]
pub(crate) struct Read<K> {
    family: Family,
    kind: proto::MetricType,
    names: Vec<&'static str>,
    keys: Vec<K>,
}

impl<K: Closed> Read<K> {
    /// Every series of it, each with what `value` says.
    pub(crate) fn filled(&self, value: impl Fn(K) -> f64) -> proto::MetricFamily {
        let series = self.keys.iter();
        let rows = series.map(|key| (key.values(), value(*key)));
        whole(self.family, self.kind, &self.names, rows)
    }
}

/// A count as Prometheus has it; exact up to 2⁵³.
pub(crate) fn number(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// A family made by hand.
fn whole<V: ToString>(
    family: Family,
    kind: proto::MetricType,
    names: &[&'static str],
    rows: impl Iterator<Item = (Vec<V>, f64)>,
) -> proto::MetricFamily {
    let metrics = rows.map(|(values, value)| {
        let pairs = names.iter().zip(values).map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_string());
            pair
        });
        let mut metric = proto::Metric::from_label(pairs.collect());
        if kind == proto::MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    let mut made = proto::MetricFamily::default();
    made.set_name(family.name.to_owned());
    made.set_help(family.help.to_owned());
    made.set_field_type(kind);
    made.set_metric(metrics.collect());
    made
}

/// A gauge with one label whose values are not known beforehand; whoever fills it keeps them few.
#[derive(Debug)]
pub(crate) struct OpenGauge {
    family: Family,
    label: &'static str,
}

impl OpenGauge {
    /// The series of now, and no others.
    pub(crate) fn filled<'a>(
        &self,
        rows: impl Iterator<Item = (&'a str, f64)>,
    ) -> proto::MetricFamily {
        let rows = rows.map(|(value, number)| (vec![value], number));
        whole(self.family, proto::MetricType::GAUGE, &[self.label], rows)
    }
}

/// Makes families and remembers their declarations.
pub(crate) struct Builder {
    /// Where they are registered.
    pub(crate) registry: Registry,
    /// What was declared, in this order.
    pub(crate) declared: Vec<Declared>,
    part: &'static str,
}

impl Builder {
    /// Without families.
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            registry: Registry::new_custom(Some(PREFIX.to_owned()), None)?,
            declared: Vec::new(),
            part: "",
        })
    }

    /// What is declared from here on belongs to `part`.
    pub(crate) fn part(&mut self, part: &'static str) {
        self.part = part;
    }

    /// Remembers a family that somebody else registers, and returns its labels.
    pub(crate) fn declare<K: Closed>(&mut self, family: Family, kind: Kind) -> Vec<&'static str> {
        let labels = K::labels();
        let names = labels.iter().map(|label| label.name).collect();
        self.declared.push(Declared {
            part: self.part,
            family,
            kind,
            labels,
        });
        names
    }

    /// Counters, one for each value of `K`.
    pub(crate) fn counters<K: Closed>(
        &mut self,
        family: Family,
    ) -> prometheus::Result<Series<K, IntCounter>> {
        let names = self.declare::<K>(family, Kind::Counter);
        let made = IntCounterVec::new(Opts::new(family.name, family.help), &names)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(Series::new(|values| made.with_label_values(values)))
    }

    /// A counter.
    pub(crate) fn counter(&mut self, family: Family) -> prometheus::Result<IntCounter> {
        self.declare::<()>(family, Kind::Counter);
        let made = IntCounter::new(family.name, family.help)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// Gauges, one for each value of `K`.
    pub(crate) fn gauges<K: Closed>(
        &mut self,
        family: Family,
    ) -> prometheus::Result<Series<K, IntGauge>> {
        let names = self.declare::<K>(family, Kind::Gauge);
        let made = IntGaugeVec::new(Opts::new(family.name, family.help), &names)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(Series::new(|values| made.with_label_values(values)))
    }

    /// A gauge.
    pub(crate) fn gauge(&mut self, family: Family) -> prometheus::Result<IntGauge> {
        self.declare::<()>(family, Kind::Gauge);
        let made = IntGauge::new(family.name, family.help)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// Histograms of seconds, one for each value of `K`.
    pub(crate) fn histograms<K: Closed>(
        &mut self,
        buckets: Buckets,
        family: Family,
    ) -> prometheus::Result<Series<K, Histogram>> {
        let names = self.declare::<K>(family, Kind::Histogram(buckets));
        let options = HistogramOpts::new(family.name, family.help);
        let made = HistogramVec::new(options.buckets(buckets.bounds.to_vec()), &names)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(Series::new(|values| made.with_label_values(values)))
    }

    /// A histogram of seconds.
    pub(crate) fn histogram(
        &mut self,
        buckets: Buckets,
        family: Family,
    ) -> prometheus::Result<Histogram> {
        self.declare::<()>(family, Kind::Histogram(buckets));
        let options = HistogramOpts::new(family.name, family.help);
        let made = Histogram::with_opts(options.buckets(buckets.bounds.to_vec()))?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// Gauges that are filled at each scrape; to be handed to [`Builder::collect`].
    pub(crate) fn read_gauges<K: Closed>(&mut self, family: Family) -> Read<K> {
        Read {
            names: self.declare::<K>(family, Kind::Gauge),
            kind: proto::MetricType::GAUGE,
            family,
            keys: K::every(),
        }
    }

    /// Counters that are filled at each scrape; to be handed to [`Builder::collect`].
    pub(crate) fn read_counters<K: Closed>(&mut self, family: Family) -> Read<K> {
        Read {
            names: self.declare::<K>(family, Kind::Counter),
            kind: proto::MetricType::COUNTER,
            family,
            keys: K::every(),
        }
    }

    /// A gauge by a label whose values are known only when it is filled.
    pub(crate) fn open_gauge(
        &mut self,
        label: &'static str,
        what: &'static str,
        family: Family,
    ) -> OpenGauge {
        self.declared.push(Declared {
            part: self.part,
            family,
            kind: Kind::Gauge,
            labels: vec![Label {
                name: label,
                what,
                values: Vec::new(),
            }],
        });
        OpenGauge { family, label }
    }

    /// Has `fill` asked for its families, which were declared since `from`, at each scrape. It
    /// must not wait.
    pub(crate) fn collect(
        &self,
        from: usize,
        fill: impl Fn() -> Vec<proto::MetricFamily> + Send + Sync + 'static,
    ) -> prometheus::Result<()> {
        let declared = self.declared.iter().skip(from);
        let descs = declared.map(|declared| {
            let names = declared.labels.iter().map(|label| label.name.to_owned());
            Desc::new(
                declared.family.name.to_owned(),
                declared.family.help.to_owned(),
                names.collect(),
                HashMap::new(),
            )
        });
        let filled = Filled {
            descs: descs.collect::<prometheus::Result<_>>()?,
            fill: Box::new(fill),
        };
        self.registry.register(Box::new(filled))
    }
}

/// Families that are made at each scrape.
struct Filled {
    descs: Vec<Desc>,
    fill: Box<dyn Fn() -> Vec<proto::MetricFamily> + Send + Sync>,
}

impl Collector for Filled {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        (self.fill)()
    }
}
