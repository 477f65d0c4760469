// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/grants.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "model/state.h"
#include "model/wire.h"

namespace cvlan::agent {

namespace wire = model::wire;
using std::chrono::milliseconds;

namespace {

// Nobody tells of every session that ends: an answer that has not come by then never comes.
constexpr std::chrono::seconds kAnswerWithin{25};
constexpr std::chrono::seconds kNoSession{1};
// However wrong the clocks are, the controller is asked no more often.
constexpr std::chrono::minutes kLeastLife{1};
constexpr milliseconds kLife = std::chrono::hours(24);
constexpr int kFormat = 1;

}  // namespace

Grants::Grants(Setup setup) : setup_(std::move(setup)), backoff_(setup_.seed) { load(); }

void Grants::step(const std::string& memberships) {
    const BootTime now = setup_.clock.since_boot();
    if (now >= ends_) json_.clear();
    const bool is_other = memberships != memberships_ && memberships != asked_for_;
    if (memberships.empty() || (now < due_ && !is_other)) return;
    const uint64_t request = ++request_;
    const std::weak_ptr<bool> here = is_here_;
    const bool is_sent = setup_.call({"POST", "/api/v1/node/relay-grants"},
                                     [this, here, request, memberships](const auto& answer) {
                                         if (here.expired() || request != request_) return;
                                         answered(answer, memberships);
                                     });
    asked_for_ = is_sent ? memberships : "";
    due_ = now + (is_sent ? milliseconds(kAnswerWithin) : milliseconds(kNoSession));
}

void Grants::session_ended() {
    if (asked_for_.empty()) return;
    asked_for_.clear();
    due_ = setup_.clock.since_boot();
}

void Grants::answered(const Answer<http::Response>& answer, const std::string& memberships) {
    asked_for_.clear();
    auto taken = answer ? take(answer->body) : Result<void>(failed(answer.error().error));
    if (taken) {
        memberships_ = memberships;
        save();
        trouble_.clear();
        backoff_.reset();
        return setup_.on_new();
    }
    due_ = setup_.clock.since_boot() + backoff_.next();
    if (trouble_ != taken.error().message)
        log::warn("agent.grants_failed", {{"error", taken.error().message}});
    trouble_ = taken.error().message;
}

// Their life is told by the controller's clock; ours need not agree.
Result<void> Grants::take(const std::string& body) {
    auto answer = model::decode<wire::RelayGrants>(body, model::kDocument);
    if (!answer) return failed(answer.error().while_doing("relay grants"));
    milliseconds life = kLife;
    std::vector<std::string> json;
    for (const wire::SignedBytes& one : answer->grants) {
        auto grant = model::decode<wire::RelayGrant>(as_text(one.payload), model::kDocument);
        if (!grant) return failed(grant.error().while_doing("relay grant"));
        life = std::min(life,
                        std::max<milliseconds>(grant->expires_at - grant->issued_at, kLeastLife));
        json.push_back(encode(one));
    }
    json_ = std::move(json);
    ends_ = setup_.clock.since_boot() + life;
    due_ = setup_.clock.since_boot() + life / 2;
    return {};
}

// After a start nobody but the wall clock can tell. Where that is wrong a relay refuses them.
Result<milliseconds> Grants::left(const std::string& json) const {
    auto bytes = model::decode<wire::SignedBytes>(json, model::kDocument);
    if (!bytes) return failed(bytes.error());
    auto grant = model::decode<wire::RelayGrant>(as_text(bytes->payload), model::kDocument);
    if (!grant) return failed(grant.error());
    return std::min(kLife, grant->expires_at - setup_.clock.now());
}

// The controller is asked all the same, as soon as it can be.
void Grants::load() {
    if (setup_.path.empty()) return;
    auto file = load_state(setup_.path, kFormat);
    auto kept = file ? model::decode<model::state::KeptGrants>(file->content, model::kDocument)
                     : failed(file.error());
    if (!kept && kept.error().code != Code::NotFound)
        log::warn("agent.grants_failed", {{"error", kept.error().message}});
    if (!kept) return;
    milliseconds least = kLife;
    for (const std::string& one : kept->grants)
        least = std::min(least, left(one).value_or(milliseconds(0)));
    if (least <= milliseconds(0)) return;
    json_ = std::move(kept->grants);
    memberships_ = std::move(kept->memberships);
    ends_ = setup_.clock.since_boot() + least;
}

void Grants::save() {
    if (setup_.path.empty()) return;
    const auto saved =
        save_state(setup_.path, kFormat, encode(model::state::KeptGrants{memberships_, json_}));
    if (!saved) log::error("agent.state_not_saved", {{"error", saved.error().message}});
}

}  // namespace cvlan::agent
