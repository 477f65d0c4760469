// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's figures, cvlan_controller_…, in Prometheus' text format. Labels are of the
// program's own making (roles, routes, outcomes, states), never a tenant, a node or what a stranger
// sent, so that their number is bounded whatever is stored (F104). Counting is safe on any thread.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/server.h"
#include "maps/maps.h"

namespace cvlan::api {

struct Context;
struct Route;

struct ListenerFigures {
    std::string name;  // "session", "admin", …
    http::Server::Stats stats;
};

struct CertificateFigures {
    std::string name;  // "root", "intermediate", "server"
    WallTime not_after{};
};

struct JobFigures {
    std::string name;
    uint64_t succeeded = 0;
    uint64_t failed = 0;
    std::optional<WallTime> last_success{};
};

class Metrics {
public:
    Metrics();

    // Counts the answer of one request, and unless it is held the time until then.
    void watch(const Route* route, http::Reply& reply);
    metrics::Family<metrics::Counter> enrolments{{"outcome"}};
    metrics::Counter held_back;  // of what nodes write

    // What only who listens knows; set before the first request.
    std::function<std::vector<ListenerFigures>()> listeners;
    std::function<std::vector<CertificateFigures>()> certificates;
    std::function<std::vector<JobFigures>()> jobs;

    void write_requests(metrics::Text& text) const;

private:
    static constexpr size_t kClasses = 6;  // of the status: 1xx to 5xx, and what is none of these
    static constexpr size_t kRoles = 4;
    using Answers = std::array<metrics::Counter, kClasses>;
    Answers& answers_of(const Route* route);

    std::vector<Answers> by_route_;  // of the table, in its order; the last: no such route
    std::array<metrics::Histogram, kRoles> seconds_;
};

// Of what belongs to the session role's thread.
struct SessionFigures {
    maps::Counters maps{};
    size_t polls_waiting = 0;
};
// On that thread.
SessionFigures session_figures(const Context& context);

// The whole text. It asks the database, and so may wait for it.
std::string metrics_text(Context& context, const SessionFigures& session);

}  // namespace cvlan::api
