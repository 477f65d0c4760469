// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/pages.h"

#include "base/log.h"

namespace cvlan::agent {

Pages::Pages(EventLoop& loop, const Endpoint& at, http::OwnPages pages,
             std::chrono::milliseconds again)
    : loop_(loop), at_(at), pages_(std::move(pages)), again_(again) {
    listen();
}

void Pages::listen() {
    auto listening = http::listen_own_pages(loop_, at_, pages_);
    if (listening) {
        server_ = std::move(*listening);
        trouble_.clear();
        return;
    }
    if (trouble_ != listening.error().message)
        log::error("agent.metrics_failed", {{"error", listening.error().message}});
    trouble_ = listening.error().message;
    next_ = loop_.after(again_, [this] { listen(); });
}

}  // namespace cvlan::agent
