// SPDX-License-Identifier: Apache-2.0
#include "http/own_pages.h"

namespace cvlan::http {

Result<std::unique_ptr<Server>> listen_own_pages(EventLoop& loop, const Endpoint& at,
                                                 OwnPages pages) {
    Service service{[pages = std::move(pages)](const Request& request, Reply reply) {
        Response answer{.content_type = "text/plain; version=0.0.4"};
        if (request.path == "/metrics")
            answer.body = pages.metrics();
        else if (request.path == "/ready")
            answer.status = pages.is_ready() ? 200 : 503;
        else if (request.path != "/health")
            answer.status = 404;
        reply.send(std::move(answer));
    }};
    const std::string own = at.address.is_v4() ? at.address.text() : "[" + at.address.text() + "]";
    service.limits.allowed_hosts = {"localhost", "127.0.0.1", "[::1]", own};
    service.limits.connections = 64;
    service.limits.body_bytes = 0;
    auto server = Server::listen_plain(loop, at, std::move(service));
    if (!server) return failed(server.error().while_doing("metrics"));
    return server;
}

}  // namespace cvlan::http
