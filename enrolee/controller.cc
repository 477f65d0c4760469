// SPDX-License-Identifier: Apache-2.0
#include "enrolee/controller.h"

#include "base/bytes.h"
#include "http/origin.h"
#include "model/wire.h"

namespace cvlan::enrolee {

Refusal refusal_of(const http::Response& response) {
    Refusal refusal;
    refusal.status = response.status;
    refusal.error.code = code_of_http(response.status);
    refusal.error.message = fmt::format("the controller answered {}", response.status);
    auto problem = model::decode<model::wire::Problem>(response.body, model::kDocument);
    if (!problem) return refusal;
    refusal.code = printable(problem->code);
    refusal.error.message = printable(problem->detail.value_or(problem->title));
    for (const auto& field : problem->errors)
        refusal.error.message +=
            fmt::format("; {}: {}", printable(field.pointer), printable(field.detail));
    return refusal;
}

Result<http::Client*> Controller::client() {
    if (client_) return client_.get();
    if (options_.urls.empty()) return fail(Code::Invalid, "no URL of a controller");
    auto origin = http::parse_origin(options_.urls[at_ % options_.urls.size()]);
    if (!origin) return failed(origin.error());
    where_ = fmt::format("{}:{}", origin->host, origin->port);
    Credentials credentials = options_.credentials.clone();
    http::ClientOptions options;
    options.host = origin->host;
    options.port = origin->port;
    options.trust = std::move(credentials.trust);
    options.certificate_pem = std::move(credentials.certificate_pem);
    options.private_key_pem = std::move(credentials.private_key_pem);
    if (!options_.proxy.empty()) {
        auto proxy = http::parse_proxy(options_.proxy);
        if (!proxy) return failed(proxy.error());
        options.proxy = std::move(*proxy);
    }
    options.fwmark = options_.fwmark;
    options.body_bytes = 64u << 20;
    auto opened = http::Client::open(loop_, std::move(options));
    if (!opened) return failed(opened.error());
    client_ = std::move(*opened);
    return client_.get();
}

void Controller::call(Call call, Done done) {
    auto ready = client();
    if (!ready) {
        ++at_;
        failing_ = loop_.after(std::chrono::milliseconds(0),
                               [done = std::move(done), error = ready.error()] {
                                   done(tl::unexpected(Refusal{error}));
                               });
        return;
    }
    http::ClientRequest request;
    request.method = call.method;
    request.target = std::move(call.target);
    request.timeout = call.timeout;
    if (!call.body.empty()) {
        request.headers.push_back({"Content-Type", "application/json"});
        request.body = std::move(call.body);
    }
    (*ready)->request(std::move(request), [this, done = std::move(done)](Result<http::Response> r) {
        if (!r && options_.urls.size() > 1) {
            // The next request opens the next origin; this client must outlive its own callback.
            ++at_;
            retired_ = std::move(client_);
        }
        if (!r)
            done(tl::unexpected(Refusal{r.error().while_doing("controller " + where_)}));
        else if (r->status >= 400)
            done(tl::unexpected(refusal_of(*r)));
        else
            done(std::move(*r));
    });
}

}  // namespace cvlan::enrolee
