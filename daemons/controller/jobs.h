// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the controller does by itself, again and again: it forgets what is old, ends nodes whose
// time is over, and warns of certificates that end.

#include <functional>
#include <vector>

#include "api/metrics.h"
#include "daemons/controller/job_runner.h"

namespace cvlan::controller {

struct JobSettings {
    std::chrono::hours keep_audit{24 * 90};  // where no tenant's settings say otherwise
    std::chrono::hours keep_events{24 * 7};
    std::chrono::hours keep_tokens{24 * 30};  // beyond their end
    // Of this controller.
    std::function<std::vector<api::CertificateFigures>()> certificates{};
};

// Made when the controller is up: what an ephemeral node was away before does not count.
std::vector<JobKind> job_kinds(const JobSettings& settings, const Clock& clock);

}  // namespace cvlan::controller
