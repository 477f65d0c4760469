// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a daemon shows of itself to its own machine, without TLS: /metrics as Prometheus reads them,
// /health (200: it runs) and /ready (200 or 503). Loop thread only.

#include <functional>
#include <memory>
#include <string>

#include "http/server.h"

namespace cvlan::http {

struct OwnPages {
    std::function<std::string()> metrics;
    std::function<bool()> is_ready;
};

// `at` is a loopback address. A Host that names anything else is answered 421, so that no page of a
// browser's reads it by a name of its own.
Result<std::unique_ptr<Server>> listen_own_pages(EventLoop& loop, const Endpoint& at,
                                                 OwnPages pages);

}  // namespace cvlan::http
