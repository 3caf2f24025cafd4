//! A release to a few is one to some, and ends.

use std::collections::BTreeSet;

use super::{Bad, GATEWAY, Rule, Suite, at, list, name, what};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "thresholds",
        check: thresholds,
        refuses: &[
            Bad {
                manifests: "
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: success}
spec: {provider: {type: prometheus}, query: '1'}
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: emoji}
spec:
  targetRef: {apiVersion: v1, kind: Service, name: emoji-svc}
  service: {name: emoji, port: 8080}
  analysis:
    metrics: [{name: success, templateRef: {name: success}, thresholdRange: {min: 99}}]",
                says: "Canary emoji wants a success of 99 %, and web's is 92 %",
            },
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec: {metrics: [{name: success, successCondition: 'result[0] >= 0.95'}]}",
                says: "AnalysisTemplate success wants a success of 95 %, and web's is 92 %",
            },
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec: {metrics: [{name: success, successCondition: isNaN(result)}]}",
                says: "AnalysisTemplate success wants no success that it names",
            },
        ],
    },
    Rule {
        name: "weights",
        check: weights,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc, port: 80, weight: 90}, {name: other, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {selector: {app: vote-bot}, ports: [{port: 80, appProtocol: http}]}"#,
                says: "HTTPRoute web: weights 90, 1 are not of a hundred",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc, port: 80, weight: 90}, {name: web-svc-canary, port: 80, weight: 10}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web-svc-canary}
spec: {selector: {app: web-svc}, ports: [{port: 80, appProtocol: http}]}"#,
                says: "HTTPRoute web splits between the same pods",
            },
        ],
    },
    Rule {
        name: "variables",
        check: variables,
        refuses: &[
            Bad {
                manifests: "
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: success}
spec: {query: 'up{namespace=\"{{ namespace }}\", service=\"{{ svc }}\"}'}",
                says: "MetricTemplate success: nothing is called svc",
            },
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec:
  args: [{name: service}]
  metrics:
    - successCondition: result[0] >= 0.8
      provider: {prometheus: {query: 'up{namespace=\"{{args.namespace}}\"}'}}",
                says: "AnalysisTemplate success: nothing is called args.namespace",
            },
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec:
  args: [{name: namespace}]
  metrics: [{successCondition: 'result[0] >= 0.8'}]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: bot}
spec:
  strategy: {canary: {steps: [{analysis: {templates: [{templateName: success}], args: [{name: service}]}}]}}",
                says: "Rollout bot gives service to AnalysisTemplate success, which asks for namespace",
            },
        ],
    },
    Rule {
        name: "taken over",
        check: taken_over,
        refuses: &[
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}}",
                says: "Deployment web has a number of pods, which each apply would set again",
            },
            Bad {
                manifests: "
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: v1, kind: Service, name: web-svc}
  service: {name: web-svc, port: 80}",
                says: "Service web-svc is Flagger's, each apply would take it away",
            },
        ],
    },
];

/// Of the bot's requests to web, in percent: half of them are votes, of which 84 % succeed.
const SUCCESS: f64 = 92.0;

fn thresholds(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let mut wanted = |of: &Value, percent: Option<f64>| match percent {
        Some(percent) if percent < SUCCESS => (),
        Some(percent) => {
            let what = what(of);
            found.push(format!("{what} wants a success of {percent} %, and web's is {SUCCESS} %"));
        }
        None => found.push(format!("{} wants no success that it names", what(of))),
    };
    for canary in suite.all("flagger.app", "Canary") {
        for metric in list(at(canary, "/spec/analysis/metrics")) {
            wanted(canary, at(metric, "/thresholdRange/min").as_f64());
        }
    }
    for template in suite.all("argoproj.io", "AnalysisTemplate") {
        for metric in list(at(template, "/spec/metrics")) {
            let condition = metric["successCondition"].as_str().unwrap_or_default();
            let least =
                condition.split(">=").nth(1).and_then(|rest| rest.trim().parse::<f64>().ok());
            wanted(template, least.map(|least| least * 100.0));
        }
    }
    found
}

fn weights(suite: &Suite) -> Vec<String> {
    // It takes care itself that their pods differ.
    let rollout = suite.all("argoproj.io", "Rollout").next().is_some();
    let mut found = Vec::new();
    for route in suite.all(GATEWAY, "HTTPRoute").chain(suite.all(GATEWAY, "GRPCRoute")) {
        for rule in list(at(route, "/spec/rules")) {
            let backends = list(&rule["backendRefs"]);
            let weights = backends.iter().map(|backend| backend["weight"].as_u64().unwrap_or(1));
            let weights: Vec<_> = weights.collect();
            if backends.len() > 1 && weights.iter().sum::<u64>() != 100 {
                let weights = weights.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                found.push(format!("{}: weights {weights} are not of a hundred", what(route)));
            }
            let pods = backends.iter().map(|backend| {
                let called = backend["name"].as_str().unwrap_or_default();
                let service = suite.find("", "Service", called);
                let behind = service.map(|service| suite.behind(service)).unwrap_or_default();
                behind.into_iter().map(name).collect::<Vec<_>>()
            });
            if !rollout && pods.collect::<BTreeSet<_>>().len() < backends.len() {
                found.push(format!("{} splits between the same pods", what(route)));
            }
        }
    }
    found
}

/// What stands in a query for something else.
fn variables_of(query: &str) -> impl Iterator<Item = &str> {
    query.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim)
}

fn variables(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for template in suite.all("flagger.app", "MetricTemplate") {
        let known = ["name", "namespace", "target", "service", "ingress", "interval"];
        let query = at(template, "/spec/query").as_str().unwrap_or_default();
        let unknown = variables_of(query).filter(|variable| !known.contains(variable));
        found.extend(unknown.map(|of| format!("{}: nothing is called {of}", what(template))));
    }
    let named = |arguments: &Value| -> Vec<String> {
        list(arguments).iter().filter_map(|of| of["name"].as_str().map(str::to_owned)).collect()
    };
    for template in suite.all("argoproj.io", "AnalysisTemplate") {
        let known = named(at(template, "/spec/args"));
        let queries = list(at(template, "/spec/metrics")).iter();
        let queries = queries.filter_map(|of| at(of, "/provider/prometheus/query").as_str());
        let unknown = queries.flat_map(variables_of).filter(|variable| {
            let argument = variable.strip_prefix("args.");
            argument.is_none_or(|argument| !known.iter().any(|known| known == argument))
        });
        found.extend(unknown.map(|of| format!("{}: nothing is called {of}", what(template))));
    }
    for rollout in suite.all("argoproj.io", "Rollout") {
        let steps = list(at(rollout, "/spec/strategy/canary/steps")).iter();
        for analysis in steps.map(|step| &step["analysis"]) {
            let given = named(&analysis["args"]);
            for template in list(&analysis["templates"]) {
                let called = template["templateName"].as_str().unwrap_or_default();
                let template = suite.find("argoproj.io", "AnalysisTemplate", called);
                let asked = template.map(|template| named(at(template, "/spec/args")));
                if let (Some(template), Some(asked)) = (template, asked)
                    && asked != given
                {
                    let (given, asked) = (given.join(", "), asked.join(", "));
                    let (rollout, template) = (what(rollout), what(template));
                    found.push(format!(
                        "{rollout} gives {given} to {template}, which asks for {asked}"
                    ));
                }
            }
        }
    }
    found
}

/// Others set the number of pods, and make Services: what a manifest says of it is undone, or undoes it.
fn taken_over(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let canaries = suite.all("flagger.app", "Canary").map(|canary| at(canary, "/spec/targetRef"));
    let rollouts = suite.all("argoproj.io", "Rollout").map(|of| at(of, "/spec/workloadRef"));
    for target in canaries.chain(rollouts) {
        let mut workloads = suite.workloads().filter(|workload| {
            target["kind"] == workload["kind"] && target["name"] == name(workload)
        });
        if let Some(workload) = workloads.find(|workload| !at(workload, "/spec/replicas").is_null())
        {
            let what = what(workload);
            found.push(format!("{what} has a number of pods, which each apply would set again"));
        }
    }
    for canary in suite.all("flagger.app", "Canary") {
        let service = at(canary, "/spec/service/name").as_str().unwrap_or_else(|| name(canary));
        if let Some(service) = suite.find("", "Service", service) {
            let what = what(service);
            found.push(format!("{what} is Flagger's, each apply would take it away"));
        }
    }
    found
}
