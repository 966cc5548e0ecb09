// TLS, where `--tls` names a folder of certificates: ca.pem, server.pem and server.key.
#pragma once

#include <memory>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include "peer.h"

std::shared_ptr<grpc::ServerCredentials> server_credentials(const Options& options);
std::shared_ptr<grpc::ChannelCredentials> client_credentials(const Options& options);
