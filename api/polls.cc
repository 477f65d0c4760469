// SPDX-License-Identifier: Apache-2.0
#include "api/polls.h"

#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace {
using namespace std::chrono_literals;
constexpr auto kWarnEvery = 1min;  // a node
constexpr size_t kSlice = 128;     // some milliseconds

http::Response unchanged() { return http::Response{.status = 304}; }
}  // namespace

void Polls::replace(const Waiter& newer) {
    const auto older = by_node_.find(newer.node_id);
    if (older == by_node_.end()) return;
    const uint64_t number = older->second;
    end(number,
        refusal(409, "SESSION_REPLACED",
                "a newer session of this node has taken over; if this comes again, another machine "
                "has a copy of its state folder",
                polls_.at(number)->waiter.request_id));
    const BootTime now = clock_.since_boot();
    std::erase_if(warned_at_,
                  [&](const auto& warned) { return now - warned.second >= kWarnEvery; });
    if (!warned_at_.try_emplace(newer.node_id, now).second) return;
    log::warn("api.session_replaced", {{"tenant", newer.tenant_id}, {"node", newer.node_id}});
}

void Polls::hold(Waiter waiter, Ask ask, http::Reply reply) {
    replace(waiter);
    const uint64_t number = ++next_;
    auto poll =
        std::make_unique<Poll>(Poll{std::move(waiter), std::move(ask), std::move(reply), {}});
    Poll& held = *poll;
    polls_[number] = std::move(poll);
    by_node_[held.waiter.node_id] = number;
    join_networks(number, held);
    held.timer = loop_.deadline(held.waiter.wait, [this, number] { end(number, unchanged()); });
    held.reply.on_drain([this, number] { end(number, unchanged()); });
    held.reply.on_client_gone([this, number] { const auto gone = take_out(number); });
}

void Polls::join_networks(uint64_t number, const Poll& poll) {
    for (const std::string& network : poll.waiter.networks) by_network_[network].insert(number);
}

std::unique_ptr<Polls::Poll> Polls::take_out(uint64_t number) {
    const auto found = polls_.find(number);
    if (found == polls_.end()) return nullptr;
    auto poll = std::move(found->second);
    polls_.erase(found);
    by_node_.erase(poll->waiter.node_id);
    for (const std::string& network : poll->waiter.networks) {
        const auto waiting = by_network_.find(network);
        if (waiting == by_network_.end()) continue;
        waiting->second.erase(number);
        if (waiting->second.empty()) by_network_.erase(waiting);
    }
    return poll;
}

void Polls::end(uint64_t number, http::Response response) {
    // Out of the tables first: what the answer sets off may come back here.
    if (const auto poll = take_out(number)) poll->reply.send(std::move(response));
}

void Polls::wake(const maps::Touched& touched) {
    for (const std::string& network : touched.networks) {
        const auto waiting = by_network_.find(network);
        if (waiting == by_network_.end()) continue;
        ready_.push_back(std::move(waiting->second));
        by_network_.erase(waiting);
    }
    Numbers single;
    for (const std::string& node : touched.nodes)
        if (const auto found = by_node_.find(node); found != by_node_.end())
            single.insert(found->second);
    if (!single.empty()) ready_.push_back(std::move(single));
    if (is_waking() && !next_slice_.pending())
        next_slice_ = loop_.after(0ms, [this] { ask_slice(); });
}

void Polls::ask_again(uint64_t number) {
    const auto found = polls_.find(number);
    if (found == polls_.end()) return;
    if (auto answer = found->second->ask()) return end(number, std::move(*answer));
    join_networks(number, *found->second);  // it goes on waiting
}

void Polls::ask_slice() {
    for (size_t asked = 0; asked < kSlice && !ready_.empty(); ++asked) {
        Numbers& first = ready_.front();
        const uint64_t number = *first.begin();
        first.erase(first.begin());
        if (first.empty()) ready_.pop_front();
        ask_again(number);
    }
    if (is_waking()) next_slice_ = loop_.after(0ms, [this] { ask_slice(); });
}

}  // namespace cvlan::api
