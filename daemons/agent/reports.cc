// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/reports.h"

#include "base/log.h"

namespace cvlan::agent {

namespace {
constexpr std::chrono::seconds kPause{5};
}

void Reports::push(Session& session) {
    push(session, endpoints_);
    push(session, inventory_);
}

void Reports::push(Session& session, Report& report) {
    const BootTime now = clock_.since_boot();
    if (report.is_under_way || report.wanted.empty() || report.wanted == report.taken ||
        now < report.not_before)
        return;
    report.is_under_way = true;
    report.not_before = now + kPause;
    Controller::Call call{"PUT", report.target, report.wanted};
    session.call(
        std::move(call), [&report, sent = report.wanted](const Answer<http::Response>& answer) {
            report.is_under_way = false;
            if (answer)
                report.taken = sent;
            else
                log::debug("agent.report_failed",
                           {{"target", report.target}, {"error", answer.error().error.message}});
        });
}

}  // namespace cvlan::agent
