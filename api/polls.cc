// SPDX-License-Identifier: Apache-2.0
#include "api/polls.h"

#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace {
using namespace std::chrono_literals;
constexpr auto kWarnEvery = 1min;  // a node

http::Response unchanged() { return http::Response{.status = 304}; }
}  // namespace

void Polls::replace(const Waiter& newer) {
    const auto older = polls_.find(newer.node_id);
    if (older == polls_.end()) return;
    const uint64_t number = older->second->number;
    end(newer.node_id, number,
        refusal(409, "SESSION_REPLACED",
                "a newer session of this node has taken over; if this comes again, another machine "
                "has a copy of its state folder",
                older->second->request_id));
    const BootTime now = clock_.since_boot();
    std::erase_if(warned_at_,
                  [&](const auto& warned) { return now - warned.second >= kWarnEvery; });
    if (!warned_at_.try_emplace(newer.node_id, now).second) return;
    log::warn("api.session_replaced", {{"tenant", newer.tenant_id}, {"node", newer.node_id}});
}

void Polls::hold(const Waiter& waiter, Ask ask, http::Reply reply) {
    replace(waiter);
    const std::string node_id = waiter.node_id;
    const uint64_t number = ++next_;
    auto poll = std::make_unique<Poll>(
        Poll{number, waiter.request_id, std::move(ask), std::move(reply), {}});
    Poll& held = *poll;
    polls_[node_id] = std::move(poll);
    held.timer =
        loop_.after(waiter.wait, [this, node_id, number] { end(node_id, number, unchanged()); });
    held.reply.on_drain([this, node_id, number] { end(node_id, number, unchanged()); });
    held.reply.on_client_gone([this, node_id, number] {
        const auto found = polls_.find(node_id);
        if (found == polls_.end() || found->second->number != number) return;
        const auto gone = std::move(found->second);  // destroyed after it has left the table
        polls_.erase(found);
    });
}

void Polls::end(const std::string& node_id, uint64_t number, http::Response response) {
    const auto found = polls_.find(node_id);
    if (found == polls_.end() || found->second->number != number) return;
    const auto poll = std::move(found->second);
    polls_.erase(found);
    poll->reply.send(std::move(response));
}

void Polls::wake(const std::vector<std::string>& node_ids) {
    for (const std::string& node_id : node_ids) {
        const auto found = polls_.find(node_id);
        if (found == polls_.end()) continue;
        auto answer = found->second->ask();
        if (answer) end(node_id, found->second->number, std::move(*answer));
    }
}

}  // namespace cvlan::api
