import os

import botocore
import botocore.httpsession
import botocore.loaders
import botocore.session

session = botocore.session.get_session()
session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
services = session.get_available_services()
print(len(services), services[:3], session.get_available_regions("s3")[:3])
loader = session.get_component("data_loader")
print(loader.search_paths[-1], loader.list_api_versions("ec2", "service-2"))
client = session.create_client("s3", region_name="eu-central-1")
url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "ä/k"}, ExpiresIn=60)
print(url)
print(client.meta.service_model.operation_model("PutObject").input_shape.required_members)
queue = session.create_client("sqs", region_name="us-gov-west-1")
print(queue.meta.endpoint_url, queue.can_paginate("list_queues"))
print(sorted(session.create_client("ec2", region_name="eu-west-1").waiter_names)[:3])
try:
    client.get_object(Bucket="b")
except botocore.exceptions.ParamValidationError as error:
    print(error)
print(os.path.isfile(botocore.httpsession.DEFAULT_CA_BUNDLE))
