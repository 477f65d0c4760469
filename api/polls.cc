// SPDX-License-Identifier: Apache-2.0
#include "api/polls.h"

namespace cvlan::api {

namespace {
http::Response unchanged() { return http::Response{.status = 304}; }
}  // namespace

void Polls::hold(const std::string& node_id, std::chrono::seconds wait, Ask ask,
                 http::Reply reply) {
    if (const auto older = polls_.find(node_id); older != polls_.end())
        end(node_id, older->second->number, unchanged());
    const uint64_t number = ++next_;
    auto poll = std::make_unique<Poll>(Poll{number, std::move(ask), std::move(reply), {}});
    Poll& held = *poll;
    polls_[node_id] = std::move(poll);
    held.timer = loop_.after(wait, [this, node_id, number] { end(node_id, number, unchanged()); });
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
