// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/jobs.h"

#include "base/log.h"
#include "store/jobs.h"

namespace cvlan::controller {

using namespace std::chrono_literals;

namespace {

constexpr auto kDaily = 24h;

// Takes old rows away, a slice a step, from one chain of the audit or one tenant after the other.
class Pruning final : public JobRun {
public:
    using List = std::function<Result<std::vector<std::string>>(store::Store&)>;
    using Prune = std::function<Result<int64_t>(store::Store&, const std::string&)>;
    Pruning(List list, Prune prune) : list_(std::move(list)), prune_(std::move(prune)) {}

    Result<std::optional<std::string>> step(store::Store& store) override {
        if (!rest_) {
            auto listed = list_(store);
            if (!listed) return failed(listed.error());
            rest_ = std::move(*listed);
        }
        if (rest_->empty()) return std::optional(fmt::format("{} removed", removed_));
        auto gone = prune_(store, rest_->back());
        if (!gone) return failed(gone.error());
        removed_ += *gone;
        if (*gone == 0) rest_->pop_back();
        return std::nullopt;
    }

private:
    List list_;
    Prune prune_;
    std::optional<std::vector<std::string>> rest_;
    int64_t removed_ = 0;
};

// Ephemeral nodes that stayed away, and those whose key has run out.
class EndingNodes final : public JobRun {
public:
    explicit EndingNodes(WallTime up_since) : up_since_(up_since) {}

    Result<std::optional<std::string>> step(store::Store& store) override {
        auto idle = store.delete_idle_nodes(up_since_);
        if (!idle) return failed(idle.error());
        for (const store::Key& node : *idle)
            log::info("controller.idle_node_deleted",
                      {{"tenant", node.tenant_id}, {"node", node.id}});
        auto due = store.expire_due_keys();
        if (!due) return failed(due.error());
        for (const store::Key& node : *due)
            log::info("controller.node_key_expired",
                      {{"tenant", node.tenant_id}, {"node", node.id}});
        deleted_ += idle->size();
        expired_ += due->size();
        if (!idle->empty() || !due->empty()) return std::nullopt;  // there may be more
        return std::optional(fmt::format("{} deleted, {} expired", deleted_, expired_));
    }

private:
    WallTime up_since_;
    size_t deleted_ = 0;
    size_t expired_ = 0;
};

// One step is enough.
class Once final : public JobRun {
public:
    using Run = std::function<Result<std::string>(store::Store&)>;
    explicit Once(Run run) : run_(std::move(run)) {}
    Result<std::optional<std::string>> step(store::Store& store) override {
        auto done = run_(store);
        if (!done) return failed(done.error());
        return std::optional(std::move(*done));
    }

private:
    Run run_;
};

Result<std::vector<std::string>> chains(store::Store& store) { return store.jobs().audit_chains(); }
Result<std::vector<std::string>> once(store::Store&) { return std::vector<std::string>{""}; }

// As the tenant has it in its settings. The operators' own chain, that of a tenant which is gone,
// and one of whoever has set nothing: as this controller is configured.
Result<std::chrono::hours> kept_audit(store::Store& store, const std::string& tenant_id,
                                      const JobSettings& by_default) {
    if (tenant_id.empty()) return by_default.keep_audit;
    auto settings = store.policies().settings(tenant_id);
    if (!settings && settings.error().code != Code::NotFound) return failed(settings.error());
    if (!settings || settings->revision == 0) return by_default.keep_audit;
    return 24h * settings->audit_retention_days;
}

Result<int64_t> prune_audit(store::Store& store, const std::string& tenant_id,
                            const JobSettings& settings, WallTime now) {
    auto kept = kept_audit(store, tenant_id, settings);
    if (!kept) return failed(kept.error());
    return store.prune_audit(tenant_id, now - *kept);
}

// Warns early enough to act: a month, two weeks and three days before.
void warn_of(const api::CertificateFigures& certificate, WallTime now) {
    const auto left = std::chrono::duration_cast<std::chrono::hours>(certificate.not_after - now);
    if (left > 24h * 30) return;
    const auto days = left.count() / 24;
    if (left > 24h * 3)
        return log::warn("jobs.certificate_ends", {{"certificate", certificate.name},
                                                   {"until", rfc3339(certificate.not_after)},
                                                   {"days", days}});
    log::error("jobs.certificate_ends", {{"certificate", certificate.name},
                                         {"until", rfc3339(certificate.not_after)},
                                         {"days", days}});
}

Result<std::string> watch_certificates(store::Store& store, const JobSettings& settings,
                                       WallTime now) {
    if (settings.certificates)
        for (const auto& certificate : settings.certificates()) warn_of(certificate, now);
    // A node renews ten days before; one with less has not been here.
    auto ending = store.jobs().certificates_ending(now + 24h * 7);
    if (!ending) return failed(ending.error());
    if (*ending > 0) log::warn("jobs.node_certificates_end", {{"nodes", *ending}});
    return fmt::format("{} nodes have a certificate that ends within a week", *ending);
}

}  // namespace

std::vector<JobKind> job_kinds(const JobSettings& settings, const Clock& clock) {
    const auto audit = [settings, &clock] {
        return std::make_unique<Pruning>(
            chains, [settings, now = clock.now()](auto& store, const auto& chain) {
                return prune_audit(store, chain, settings, now);
            });
    };
    const auto events = [settings, &clock] {
        return std::make_unique<Pruning>(
            chains, [before = clock.now() - settings.keep_events](auto& store, const auto& chain) {
                return store.jobs().prune_events(chain, before);
            });
    };
    const auto tokens = [settings, &clock] {
        return std::make_unique<Pruning>(
            once, [before = clock.now() - settings.keep_tokens](auto& store, const auto&) {
                return store.jobs().prune_tokens(before);
            });
    };
    const auto keys = [] {
        return std::make_unique<Pruning>(
            once, [](auto& store, const auto&) { return store.idempotency().prune(); });
    };
    const auto certificates = [settings, &clock] {
        return std::make_unique<Once>([settings, &clock](store::Store& store) {
            return watch_certificates(store, settings, clock.now());
        });
    };
    const auto ending = [up_since = clock.now()] {
        return std::make_unique<EndingNodes>(up_since);
    };
    // A look is cheap, a lease is two writes: nodes end rarely.
    const auto has_due = [up_since = clock.now()](store::Store& store) {
        return store.jobs().has_due_nodes(up_since).value_or(true);
    };
    return {{"audit-retention", kDaily, audit},          {"event-retention", 1h, events},
            {"token-retention", kDaily, tokens},         {"idempotency-retention", kDaily, keys},
            {"certificate-watch", kDaily, certificates}, {"node-lifetimes", 10s, ending, has_due}};
}

}  // namespace cvlan::controller
