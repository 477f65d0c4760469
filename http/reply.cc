// SPDX-License-Identifier: Apache-2.0
#include <utility>

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

}  // namespace cvlan::http
