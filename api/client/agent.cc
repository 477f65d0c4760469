// SPDX-License-Identifier: Apache-2.0
#include "api/client/agent.h"

namespace cvlan::client {

Result<Agent> Agent::open(const std::string& socket) {
    auto transport = Transport::open({.server = "unix:" + socket});
    if (!transport) return failed(transport.error());
    return Agent(std::move(*transport));
}

template <class T>
Result<T> Agent::call(Call request) {
    request.path = "/local/v1/" + request.path;
    auto answer = transport_.send(request);
    if (!answer) return failed(answer.error());
    auto document = model::decode<T>(*answer, model::kDocument);
    if (!document) return fail(Code::Malformed, "the agent's answer: {}", document.error().message);
    return document;
}

Result<local::Status> Agent::status() { return call<local::Status>({.path = "status"}); }
Result<local::PlanView> Agent::plan() { return call<local::PlanView>({.path = "plan"}); }

Result<local::UpResult> Agent::up(const local::UpRequest& request) {
    // Enrolment itself may take a while beyond the wait.
    const std::chrono::seconds patience{request.wait_seconds.value_or(0) + 60};
    return call<local::UpResult>(
        {.method = "POST", .path = "up", .body = encode(request), .patience = patience});
}
Result<local::DownResult> Agent::down() {
    return call<local::DownResult>({.method = "POST", .path = "down"});
}
Result<local::LogoutResult> Agent::logout() {
    return call<local::LogoutResult>(
        {.method = "POST", .path = "logout", .patience = std::chrono::seconds(60)});
}
Result<local::PingResult> Agent::ping(const local::PingRequest& request) {
    const std::chrono::seconds patience{request.timeout_ms.value_or(0) / 1000 + 10};
    return call<local::PingResult>(
        {.method = "POST", .path = "ping", .body = encode(request), .patience = patience});
}
Result<local::NetcheckReport> Agent::netcheck() {
    return call<local::NetcheckReport>(
        {.method = "POST", .path = "netcheck", .patience = std::chrono::seconds(30)});
}

Result<local::IpsecList> Agent::ipsec() { return call<local::IpsecList>({.path = "ipsec"}); }

Result<local::IpsecResult> Agent::ipsec_rekey(const local::IpsecRequest& request) {
    return call<local::IpsecResult>(
        {.method = "POST", .path = "ipsec/rekey", .body = encode(request)});
}

Result<local::IpsecResult> Agent::ipsec_terminate(const local::IpsecRequest& request) {
    return call<local::IpsecResult>(
        {.method = "POST", .path = "ipsec/terminate", .body = encode(request)});
}

}  // namespace cvlan::client
