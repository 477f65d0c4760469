// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <utility>

#include "base/log.h"
#include "http/exchange.h"
#include "http/server.h"

namespace cvlan::http {

Reply::Reply(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
Reply::Reply(Reply&&) noexcept = default;
Reply& Reply::operator=(Reply&& other) noexcept {
    if (this == &other) return *this;
    drop();
    exchange_ = std::move(other.exchange_);
    return *this;
}
Reply::~Reply() { drop(); }

void Reply::drop() {
    if (!client_gone())
        send(problem({500, "INTERNAL", "no answer was given"}, exchange_->request_id));
    exchange_.reset();
}

void Reply::send(Response response) {
    const auto exchange = std::exchange(exchange_, nullptr);
    if (!exchange) return;
    // Taken out first: it may be the exchange's end.
    const auto answer = std::exchange(exchange->answer, nullptr);
    if (!answer) return;
    if (exchange->answered) exchange->answered(response.status);
    answer(std::move(response));
}

void Reply::upgrade(Response head, Leave leave) {
    if (client_gone() || !exchange_->upgrade) return drop();
    const auto exchange = std::exchange(exchange_, nullptr);
    if (exchange->answered) exchange->answered(head.status);
    const auto upgrade = std::exchange(exchange->upgrade, nullptr);
    upgrade(std::move(head), std::move(leave));
}

std::string_view Reply::request_id() const {
    return exchange_ ? std::string_view(exchange_->request_id) : std::string_view();
}

bool Reply::client_gone() const { return !exchange_ || !exchange_->answer; }

void Reply::on_client_gone(std::function<void()> run) {
    if (!client_gone()) exchange_->gone = std::move(run);
}

void Reply::on_drain(std::function<void()> run) {
    if (!client_gone()) exchange_->drain = std::move(run);
}

void Reply::on_answer(std::function<void(int status)> run) {
    if (!client_gone()) exchange_->answered = std::move(run);
}

void hand_over(Reply reply, EventLoop& home, EventLoop& there, std::function<void(Reply)> run) {
    // What is posted can be copied: what it holds is shared.
    const auto owed = std::make_shared<Reply>(std::move(reply));
    const auto answer = [owed, &home](Response response) {
        const auto given = std::make_shared<Response>(std::move(response));
        home.post([owed, given] { owed->send(std::move(*given)); });
    };
    const auto own = std::make_shared<Reply>(
        std::make_shared<Exchange>(Exchange{answer, std::string(owed->request_id())}));
    there.post([own, run = std::move(run)] {
        try {
            run(std::move(*own));
        } catch (const std::exception& failure) {
            // As on a connection's own thread: the Reply is gone and has answered 500.
            log::error("http.handler_failed", {{"error", failure.what()}});
        }
    });
}

}  // namespace cvlan::http
