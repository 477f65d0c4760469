// SPDX-License-Identifier: Apache-2.0
#include "reconcile/reconciler.h"

#include <algorithm>
#include <cerrno>

namespace cvlan::reconcile {

namespace {

bool is_link_step(const Step& step) {
    return std::holds_alternative<SetLink>(step) || std::holds_alternative<RemoveLink>(step);
}

// An address or a rule that is there already is as good as added. Links and routes are not:
// another's may stand in their place.
bool is_as_good_as_done(const Step& step, const Error& error) {
    return error.sys_errno == EEXIST &&
           (std::holds_alternative<SetAddress>(step) || std::holds_alternative<SetRule>(step));
}

// Once more what could not be set while something stood in its way that the plan has removed since:
// a port, a rule or an address that differs only in what the kernel does not tell apart.
void retry_sets(Host& host, const Plan& plan, std::vector<StepFailure>& failures) {
    const auto removals =
        static_cast<size_t>(std::count_if(plan.steps.begin(), plan.steps.end(), is_removal));
    const auto failed_removals =
        static_cast<size_t>(std::count_if(failures.begin(), failures.end(), [&](const auto& one) {
            return is_removal(plan.steps[one.index]);
        }));
    if (removals == failed_removals) return;
    std::vector<Step> again;
    std::vector<size_t> places;
    std::vector<StepFailure> left;
    for (StepFailure& failure : failures) {
        if (is_removal(plan.steps[failure.index])) {
            left.push_back(std::move(failure));
        } else {
            again.push_back(plan.steps[failure.index]);
            places.push_back(failure.index);
        }
    }
    for (StepFailure& failure : host.apply(again))
        left.push_back({places[failure.index], std::move(failure.error)});
    failures = std::move(left);
}

std::vector<StepFailure> apply_plan(Host& host, const Plan& plan) {
    if (plan.empty()) return {};
    std::vector<StepFailure> failures = host.apply(plan.steps);
    if (!failures.empty()) retry_sets(host, plan, failures);
    failures.erase(std::remove_if(failures.begin(), failures.end(),
                                  [&](const StepFailure& one) {
                                      return is_as_good_as_done(plan.steps[one.index], one.error);
                                  }),
                   failures.end());
    return failures;
}

std::vector<PortTaken> ports_taken(const Desired& want, const Round& round) {
    std::vector<PortTaken> taken;
    for (const StepFailure& failure : round.failures) {
        // A device binds its port when the port is set, or when it is brought up.
        if (failure.error.sys_errno != EADDRINUSE) continue;
        const std::string_view device = device_of(round.plan.steps[failure.index]);
        for (const WgDevice& one : want.wireguard)
            if (one.device == device) taken.push_back({one.device, one.listen_port});
    }
    return taken;
}

std::vector<uint32_t> indexes_taken(const Observed& have) {
    std::vector<uint32_t> taken;
    for (const Foreign& foreign : have.foreign)
        if (foreign.holds == Foreign::Holds::Index) taken.push_back(foreign.index);
    std::sort(taken.begin(), taken.end());
    taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
    return taken;
}

bool same_failures(const Round& a, const Round& b) {
    return a.plan == b.plan && a.failures.size() == b.failures.size() &&
           std::equal(a.failures.begin(), a.failures.end(), b.failures.begin(),
                      [](const StepFailure& one, const StepFailure& other) {
                          return one.index == other.index &&
                                 one.error.sys_errno == other.error.sys_errno;
                      });
}

}  // namespace

std::vector<std::string> Round::problems() const {
    std::vector<std::string> lines;
    for (const StepFailure& failure : failures)
        lines.push_back(text(plan.steps[failure.index]) + ": " + failure.error.message);
    for (const Foreign& foreign : observed.foreign) lines.push_back(foreign.what);
    return lines;
}

Result<Round> run_round(Host& host, const Desired& want, Scope scope) {
    auto have = host.observe(want, scope);
    if (!have) return failed(have.error());
    Round round;
    round.plan = diff(want, *have);
    // With a link its addresses and routes went too.
    const auto& steps = round.plan.steps;
    if (scope != Scope::Everything && std::any_of(steps.begin(), steps.end(), is_link_step))
        return run_round(host, want, Scope::Everything);
    round.observed = std::move(*have);
    round.failures = apply_plan(host, round.plan);
    round.indexes_taken = indexes_taken(round.observed);
    round.ports_taken = ports_taken(want, round);
    return round;
}

Result<Converged> converge(Host& host, const Desired& want, int most) {
    Converged converged;
    while (converged.rounds < most) {
        auto round = run_round(host, want);
        if (!round) return failed(round.error());
        const bool is_stuck = converged.rounds > 0 && !round->failures.empty() &&
                              same_failures(converged.last, *round);
        if (++converged.rounds == 1) converged.first_plan = round->plan;
        converged.last = std::move(*round);
        if (converged.last.plan.empty() || is_stuck) break;
    }
    return converged;
}

Result<Plan> plan_only(Host& host, const Desired& want) {
    auto have = host.observe(want, Scope::Everything);
    if (!have) return failed(have.error());
    return diff(want, *have);
}

}  // namespace cvlan::reconcile
