"""The proxy process: the cluster's public door. It decides no join, and knows neither auth nor agents."""
