"""An agent: it joins the cluster, keeps its identity, and says what it serves for as long as it lives."""
