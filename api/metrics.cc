// SPDX-License-Identifier: Apache-2.0
#include "api/metrics.h"

#include "api/context.h"
#include "base/log.h"
#include "base/version.h"

namespace cvlan::api {

namespace {

using metrics::Label;
using metrics::Text;

constexpr const char* kClassNames[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};

bool is_held(const Route& route) { return std::holds_alternative<HeldNodeHandler>(route.handler); }

void write_build(Text& text) {
    text.begin({"cvlan_controller_build_info", "Always 1; the labels tell which program this is."},
               "gauge");
    const std::string protocol = std::to_string(kProtocolVersion);
    const Label labels[] = {{"version", kVersion}, {"protocol", protocol}};
    text.sample(labels, 1);
}

struct ListenerColumn {
    metrics::Name name;
    const char* type;
    double (*value)(const http::Server::Stats&);
};

constexpr ListenerColumn kListenerColumns[] = {
    {{"cvlan_controller_http_connections", "Connections that are open, by listener."},
     "gauge",
     [](const auto& stats) { return static_cast<double>(stats.connections); }},
    {{"cvlan_controller_http_held_requests", "Requests that wait for their answer, by listener."},
     "gauge",
     [](const auto& stats) { return static_cast<double>(stats.held); }},
    {{"cvlan_controller_http_connections_accepted_total", "Connections taken."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.accepted); }},
    {{"cvlan_controller_http_connections_refused_total",
      "Connections closed at once: too many of one address, or no memory."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.refused); }},
    {{"cvlan_controller_http_accept_pauses_total",
      "Times that no connection was taken for a while: too many in all, or no descriptors."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.accept_pauses); }},
    {{"cvlan_controller_http_proxy_headers_refused_total",
      "Connections of listed load balancers that did not begin with a good PROXY header."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.proxy_headers_refused); }},
    {{"cvlan_controller_tls_handshakes_in_progress", "TLS handshakes under way now."},
     "gauge",
     [](const auto& stats) { return static_cast<double>(stats.handshaking); }},
    {{"cvlan_controller_tls_admission_waits_total",
      "Times that new connections waited in the kernel's queue for the handshakes under way."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.admission_waits); }},
    {{"cvlan_controller_tls_abandoned_total",
      "Connections whose client had left before their turn to shake hands came."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.abandoned); }},
    {{"cvlan_controller_http_refusals_total",
      "Requests that were answered before any handler: malformed, too large, too late."},
     "counter",
     [](const auto& stats) { return static_cast<double>(stats.errors); }},
};

void write_listeners(Text& text, const std::vector<ListenerFigures>& listeners) {
    for (const ListenerColumn& column : kListenerColumns) {
        text.begin(column.name, column.type);
        for (const ListenerFigures& listener : listeners) {
            const Label labels[] = {{"listener", listener.name}};
            text.sample(labels, column.value(listener.stats));
        }
    }
    text.begin({"cvlan_controller_tls_handshakes_total", "TLS handshakes that ended."}, "counter");
    for (const ListenerFigures& listener : listeners) {
        const Label good[] = {{"listener", listener.name}, {"result", "ok"}};
        text.sample(good, static_cast<double>(listener.stats.handshakes));
        const Label bad[] = {{"listener", listener.name}, {"result", "failed"}};
        text.sample(bad, static_cast<double>(listener.stats.handshakes_failed));
    }
}

void write_certificates(Text& text, const std::vector<CertificateFigures>& certificates) {
    text.begin({"cvlan_controller_certificate_expiry_timestamp_seconds",
                "When a certificate of the controller ends."},
               "gauge");
    for (const CertificateFigures& certificate : certificates) {
        const Label labels[] = {{"certificate", certificate.name}};
        text.sample(labels, static_cast<double>(unix_ms(certificate.not_after)) / 1000);
    }
}

void write_maps(Text& text, const maps::Counters& maps) {
    text.counter({"cvlan_controller_map_fragments_encoded_total", "Fragments encoded and signed."},
                 maps.fragments_encoded);
    text.counter({"cvlan_controller_node_maps_touched_total", "Maps of nodes a change concerned."},
                 maps.node_maps_touched);
    text.counter({"cvlan_controller_map_heads_signed_total", "Map heads signed."},
                 maps.heads_signed);
    text.counter({"cvlan_controller_maps_full_total", "Full maps sent."}, maps.full_maps);
    text.counter({"cvlan_controller_maps_delta_total", "Map deltas sent."}, maps.deltas);
    text.counter({"cvlan_controller_map_full_bytes_total", "Bytes of full maps sent."},
                 maps.bytes_full);
    text.counter({"cvlan_controller_map_deltas_encoded_total",
                  "Map deltas encoded; the others were shared."},
                 maps.deltas_encoded);
    text.counter({"cvlan_controller_map_delta_bytes_total", "Bytes of map deltas sent."},
                 maps.bytes_delta);
}

void write_counts(Text& text, const store::Counts& counts) {
    text.gauge({"cvlan_controller_tenants", "Tenants."}, static_cast<double>(counts.tenants));
    text.gauge({"cvlan_controller_networks", "Networks of all tenants."},
               static_cast<double>(counts.networks));
    text.begin({"cvlan_controller_nodes", "Nodes of all tenants, by state."}, "gauge");
    constexpr std::pair<model::NodeState, const char*> kStates[] = {
        {model::NodeState::Active, "ACTIVE"},
        {model::NodeState::Pending, "PENDING"},
        {model::NodeState::Expired, "EXPIRED"},
        {model::NodeState::Revoked, "REVOKED"}};
    for (const auto& [state, name] : kStates) {
        const auto found = counts.nodes.find(state);
        const Label labels[] = {{"state", name}};
        text.sample(labels, found == counts.nodes.end() ? 0 : static_cast<double>(found->second));
    }
}

void write_jobs(Text& text, const std::vector<JobFigures>& jobs) {
    text.begin({"cvlan_controller_job_runs_total", "Runs of jobs by this controller."}, "counter");
    for (const JobFigures& job : jobs)
        for (const auto& [outcome, count] :
             {std::pair{"succeeded", job.succeeded}, std::pair{"failed", job.failed}}) {
            const Label labels[] = {{"job_name", job.name}, {"outcome", outcome}};
            text.sample(labels, static_cast<double>(count));
        }
    text.begin({"cvlan_controller_job_last_success_timestamp_seconds",
                "When this controller last did a job; absent until it has."},
               "gauge");
    for (const JobFigures& job : jobs) {
        if (!job.last_success) continue;
        const Label labels[] = {{"job_name", job.name}};
        text.sample(labels, static_cast<double>(unix_ms(*job.last_success)) / 1000);
    }
}

// Counts need the database: where it can not be read, their lines are absent and the others stay.
void write_store(Text& text, store::Store& store) {
    text.counter({"cvlan_controller_store_commits_total", "Transactions that waited for the disk."},
                 store.commits());
    text.histogram({"cvlan_controller_store_write_duration_seconds",
                    "Write transactions, from the call to the commit."},
                   store.write_seconds());
    const auto counts = store.counts();
    text.gauge({"cvlan_controller_store_readable", "1 while the database answers."},
               counts ? 1 : 0);
    if (counts) return write_counts(text, *counts);
    log::warn("api.counts_unreadable", {{"reason", counts.error().message}});
}

}  // namespace

Metrics::Metrics() : by_route_(routes().size() + 1) {}

Metrics::Answers& Metrics::answers_of(const Route* route) {
    return route ? by_route_.at(static_cast<size_t>(route - routes().data())) : by_route_.back();
}

void Metrics::watch(const Route* route, http::Reply& reply) {
    Answers& answers = answers_of(route);
    const auto count = [](Answers& among, int status) {
        const int kind = status / 100;
        among.at(kind >= 1 && kind <= 5 ? static_cast<size_t>(kind) : 0).add();
    };
    if (!route || is_held(*route))
        return reply.on_answer([&answers, count](int status) { count(answers, status); });
    auto& seconds = seconds_.at(static_cast<size_t>(route->role));
    reply.on_answer(
        [&answers, count, &seconds, started = std::chrono::steady_clock::now()](int status) {
            count(answers, status);
            seconds.observe(std::chrono::steady_clock::now() - started);
        });
}

void Metrics::write_requests(Text& text) const {
    text.begin({"cvlan_controller_http_requests_total", "Requests answered."}, "counter");
    for (size_t i = 0; i < by_route_.size(); ++i) {
        const Route* route = i < routes().size() ? &routes()[i] : nullptr;
        const std::string name =
            route ? fmt::format("{} {}", route->method, route->pattern) : std::string("none");
        const std::string_view role = route ? name_of(route->role) : "none";
        for (size_t kind = 0; kind < kClasses; ++kind) {
            const uint64_t count = by_route_.at(i).at(kind).value();
            const Label labels[] = {{"role", role}, {"route", name}, {"class", kClassNames[kind]}};
            if (count > 0) text.sample(labels, static_cast<double>(count));
        }
    }
    text.begin({"cvlan_controller_http_request_duration_seconds",
                "From a whole request to its answer, but of those that wait for a change."},
               "histogram");
    for (const Role role : kAllRoles) {
        const Label labels[] = {{"role", name_of(role)}};
        text.buckets(labels, seconds_.at(static_cast<size_t>(role)));
    }
}

SessionFigures session_figures(const Context& context) {
    return {context.maps.counters(), context.polls.waiting()};
}

std::string metrics_text(Context& context, const SessionFigures& session) {
    const Metrics& metrics = *context.metrics;
    Text text;
    write_build(text);
    metrics.write_requests(text);
    if (metrics.listeners) write_listeners(text, metrics.listeners());
    if (metrics.certificates) write_certificates(text, metrics.certificates());
    text.counters({"cvlan_controller_enrolments_total", "Enrolments and joins, by outcome."},
                  metrics.enrolments);
    text.counter({"cvlan_controller_node_writes_held_back_total",
                  "Writes of nodes that wrote too often: 429 TOO_MANY_WRITES."},
                 metrics.held_back.value());
    text.gauge({"cvlan_controller_quarantined_objects",
                "Objects of the database that can be in nobody's map."},
               static_cast<double>(context.maps.quarantine().size()));
    text.gauge({"cvlan_controller_polls_waiting", "Nodes that wait for a change."},
               static_cast<double>(session.polls_waiting));
    write_maps(text, session.maps);
    write_store(text, context.store);
    text.gauge({"cvlan_controller_audit_writable",
                "0 while what was refused can not be written, and nothing be administered."},
               context.refusals->is_failing() ? 0 : 1);
    if (metrics.jobs) write_jobs(text, metrics.jobs());
    metrics::write_process(text);
    return text.take();
}

}  // namespace cvlan::api
